// E5, E6: writes a terabyte away.
// expect cuda: fault
// expect simt: fault
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[(1ull << 40) + i] = 1.f;
}
