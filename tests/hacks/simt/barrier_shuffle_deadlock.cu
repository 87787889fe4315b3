// hack: half of a warp waits for the other half, which waits at a barrier
// expect: fault
// reason: deadlock
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x % 32 < 16)
        o[i] = __shfl_down_sync(0xffffffffu, a[i], 1);
    else
        __syncthreads();
}
