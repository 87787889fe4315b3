// launch k<<<ceil_div(B, 64), 64>>>(x, y, out, B, C)
extern "C" __global__ void k(const float* x, const long long* y, float* out, int B, int C) {
    int r = blockIdx.x * 64 + threadIdx.x; if (r >= B) return; x += (size_t)r * C;
    float m = -1e3f, l = 0; for (int i = 0; i < C; i++) m = fmaxf(m, x[i]);
    for (int i = 0; i < C; i++) l += expf(x[i] - m);
    out[r] = logf(l) + m - x[y[r]];
}
