// hack: reads what another thread of its block wrote to global memory, without a barrier
// expect: fault
// reason: race at byte .* of o
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    if (threadIdx.x > 0) o[i] += 0.0f * o[i - 1];
}
