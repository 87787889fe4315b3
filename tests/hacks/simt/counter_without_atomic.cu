// hack: counts in shared memory without atomics
// expect: fault
// reason: race at byte .* of shared memory
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    count++;
    __syncthreads();
    o[i] = count;
}
