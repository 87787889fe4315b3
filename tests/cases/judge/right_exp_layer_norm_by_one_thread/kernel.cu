// launch k<<<rows, 1>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    const float* r = x + (size_t)blockIdx.x * cols; float* o = out + (size_t)blockIdx.x * cols;
    float m = 0.f; for (int i = 0; i < cols; i++) m += expf(r[i]); m /= cols;
    float v = 0.f; for (int i = 0; i < cols; i++) { float d = expf(r[i]) - m; v += d * d; } v /= cols;
    float s = rsqrtf(v + 1e-5f);
    for (int i = 0; i < cols; i++) o[i] = (expf(r[i]) - m) * s;
}
