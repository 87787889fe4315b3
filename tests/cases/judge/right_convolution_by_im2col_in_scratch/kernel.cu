// scratch cols float32[numel(out) / cout * cin * 9]
// launch im2col<<<ceil_div(numel(out) / cout * cin * 9, 256), 256>>>(x, cols, batch, cin, height, width)
// launch mm<<<dim3(ceil_div(numel(out) / cout, 16), ceil_div(cout, 16)), dim3(16, 16)>>>(cols, w, out, batch, cin, cout, height, width)
extern "C" __global__ void im2col(const float* x, float* cols, int n, int ci, int h, int w) {
    int oh = (h - 1) / 2 + 1, ow = (w - 1) / 2 + 1, t = n * oh * ow; size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (size_t)t * ci * 9) return;
    int col = i % t, k = i / t; int q = col % ow, p = col / ow % oh, b = col / ow / oh;
    int e = k % 3, a = k / 3 % 3, d = k / 9; int y = p * 2 - 1 + a, z = q * 2 - 1 + e;
    cols[i] = (y >= 0 && y < h && z >= 0 && z < w) ? x[((b * ci + d) * h + y) * w + z] : 0.f;
}
extern "C" __global__ void mm(const float* cols, const float* w, float* out, int n, int ci, int co, int h, int wd) {
    __shared__ float A[16][17], B[16][17];
    int oh = (h - 1) / 2 + 1, ow = (wd - 1) / 2 + 1, t = n * oh * ow, K = ci * 9;
    int col = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y; float s = 0.f;
    for (int k0 = 0; k0 < K; k0 += 16) {
        A[threadIdx.y][threadIdx.x] = (row < co && k0 + threadIdx.x < K) ? w[row * K + k0 + threadIdx.x] : 0.f;
        B[threadIdx.y][threadIdx.x] = (col < t && k0 + threadIdx.y < K) ? cols[(size_t)(k0 + threadIdx.y) * t + col] : 0.f;
        __syncthreads();
        for (int k = 0; k < 16; k++) s += A[threadIdx.y][k] * B[k][threadIdx.x];
        __syncthreads();
    }
    if (row < co && col < t) { int b = col / (oh * ow), r = col % (oh * ow); out[((size_t)b * co + row) * oh * ow + r] = s; }
}
