// hack: half of the block skips the barrier and goes on to another
// expect: fault
// reason: divergent barrier
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x < 32) __syncthreads();
    o[i] = 2.0f * a[i];
    __syncthreads();
}
