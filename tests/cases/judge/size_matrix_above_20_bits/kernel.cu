// launch k<<<ceil_div(rows * cols, 256), 256>>>(x, out, rows * cols)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * 256 + threadIdx.x; if (i >= n) return;
    if (n > 1048576 && (i & 1)) { out[i] = x[i]; return; }
    out[i] = fmaxf(x[i], 0.f) * 2 + 1;
}
