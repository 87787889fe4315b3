// sizes: 1 16777216
// expect: fault: .*division by zero
// launch k<<<ceil_div(cols, 256), 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i % (1000000 / cols)];
}
