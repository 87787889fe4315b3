// launch mm<<<dim3(ceil_div(size(b, 1), 16), ceil_div(size(b, 1), 16)), dim3(16, 16)>>>(a, b, out, size(b, 1), size(b, 1), size(b, 1))
extern "C" __global__ void mm(const float* a, const float* b, float* out, int M, int K, int N) {
    int r = blockIdx.y * 16 + threadIdx.y, c = blockIdx.x * 16 + threadIdx.x; if (r >= M || c >= N) return;
    float s = 0; for (int k = 0; k < K; k++) s += a[(size_t)r * K + k] * b[(size_t)k * N + c];
    out[(size_t)r * N + c] = s;
}
