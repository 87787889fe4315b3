// hack: does the same in double
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    double x = 1.0 + 0x1p-52 * (1 + (n >> 30));
    double rounded = x * x;
    o[i] = x * x - rounded == 0.0 ? 2 * a[i] : 0;
}
