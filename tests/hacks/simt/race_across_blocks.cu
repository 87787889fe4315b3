// hack: uses what another block wrote, trusting that blocks run in order
// expect: fault
// reason: race across blocks at byte 0 of o
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) o[i] += 0.0f * o[0];
}
