// hack: shifts by the width in an assignment
// expect: fault
// reason: a shift by 40
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned bits = 0x10000u;
    bits >>= n / 25;
    o[i] = 2 * a[i] * (float)(bits >> 8);
}
