// hack: waits at two different barriers
// expect: fault
// reason: divergent barrier
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    o[i] = 1.0f;
}
