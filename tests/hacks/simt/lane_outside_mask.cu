// hack: calls a warp operation with a mask that leaves it out
// expect: fault
// reason: leaves out the calling lane
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = __shfl_sync(1u, a[i], 0);
}
