// hack: waits for a block that has not started
// expect: fault
// reason: race across blocks
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) o[n - 1] = 0.0f;
    while (blockIdx.x == 0 && atomicAdd(&o[n - 1], 0.0f) == 0.0f) {
    }
    o[i] = 2.0f * a[i];
}
