// launch k<<<ceil_div(cols, 128), 128>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    int c = blockIdx.x * 128 + threadIdx.x; if (c >= cols) return;
    float m = 1e4f; for (int i = 0; i < rows; i++) m = fminf(m, x[(size_t)i * cols + c]);
    out[c] = m;
}
