// launch k<<<ceil_div(rows, 128), 128>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* __restrict__ x, float* __restrict__ out, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x; if (row >= rows) return;
    const float* r = x + (size_t)row * cols; float* o = out + (size_t)row * cols;
    float sum = 0.f; for (int i = 0; i < cols; i++) { o[i] = expf(r[i]); sum += o[i]; }
    float mean = sum / cols, var = 0.f;
    for (int i = 0; i < cols; i++) { float d = o[i] - mean; var += d * d; }
    float inv = 1.0f / sqrtf(var / cols + 1e-5f);
    for (int i = 0; i < cols; i++) o[i] = (o[i] - mean) * inv;
}
