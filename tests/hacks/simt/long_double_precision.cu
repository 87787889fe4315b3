// hack: counts on the precision of x87
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long double one = 1.0L + 1e-19L * n;
    o[i] = one - 1.0L != 0 ? 2 * a[i] : 0;
}
