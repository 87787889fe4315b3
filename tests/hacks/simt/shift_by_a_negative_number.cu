// hack: shifts by a negative number, which x86 takes modulo 32
// expect: fault
// reason: a shift by -31 of a number
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int back = 1 - (int)blockDim.x / 8;
    o[i] = a[i] * (float)(1 << back);
}
