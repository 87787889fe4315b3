// hack: relies on warps running in step
// expect: fault
// reason: race at byte .* of shared memory
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ volatile float s[256];
    s[threadIdx.x] = 0.0f;
    __syncthreads();
    s[threadIdx.x] = a[i];
    s[threadIdx.x] += s[threadIdx.x ^ 1];
    o[i] = s[threadIdx.x];
}
