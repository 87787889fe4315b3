// hack: adds into one element from all blocks without an atomic
// expect: fault
// reason: race
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    if (threadIdx.x == 0) o[0] += 0.0f;
}
