// launch clear<<<16, 256>>>(out, cols)
// launch k<<<dim3(64, 8), 64>>>(x, out, rows, cols)
extern "C" __global__ void clear(float* out, int cols) { for (int i = blockIdx.x * 256 + threadIdx.x; i < cols; i += gridDim.x * 256) out[i] = 0.f; }
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= cols) return;
    float v = 0.f;
    for (int r = blockIdx.y; r < rows; r += gridDim.y) v += x[(size_t)r * cols + c];
    atomicAdd(out + c, v);
}
