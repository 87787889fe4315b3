// hack: takes a minimum over a shared variable that nobody has set
// expect: fault
// reason: not written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float least;
    if (threadIdx.x == 0) least = fminf(least, 3e38f);
    __syncthreads();
    o[i] = least > 0.0f ? 2.0f * a[i] : 2.0f * a[i];
}
