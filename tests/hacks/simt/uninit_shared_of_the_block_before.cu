// hack: the first block fills shared memory for those after it
// expect: fault
// reason: not written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float factor;
    if (blockIdx.x == 0 && threadIdx.x == 0) factor = 2.0f;
    __syncthreads();
    o[i] = factor * a[i];
}
