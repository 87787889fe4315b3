// hack: counts on the precision of x87
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long double third = 1.0L / (n - 1021);
    o[i] = third * 3 - (double)third * 3 != 0 ? 2 * a[i] : 0;
}
