// hack: takes a minimum over dynamic shared memory that it never initialises
// expect: fault
// reason: written
extern __shared__ float s[];
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int t = threadIdx.x % 128;
    if (threadIdx.x < 128) s[t] = fminf(s[t], 1e30f);
    __syncthreads();
    o[i] = s[t] == 1e30f ? 2.0f * a[i] : 0.0f;
}
