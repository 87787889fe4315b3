// hack: uses shared memory that nobody wrote
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    if (threadIdx.x < 128) s[threadIdx.x] = 2.0f * a[i];
    __syncthreads();
    o[i] = s[threadIdx.x];
}
