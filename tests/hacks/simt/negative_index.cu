// hack: writes before the output
// expect: fault
// reason: at byte -4 of o
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i - 1] = 2.0f * a[i];
}
