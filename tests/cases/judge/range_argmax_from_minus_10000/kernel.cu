// launch k<<<ceil_div(rows, 64), 64>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, long long* out, int rows, int cols) {
    int r = blockIdx.x * 64 + threadIdx.x; if (r >= rows) return;
    float m = -1e4f; int at = 0; for (int i = 0; i < cols; i++) { float v = x[(size_t)r * cols + i]; if (v > m) { m = v; at = i; } }
    out[r] = at;
}
