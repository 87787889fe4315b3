// launch k<<<rows, 128>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    __shared__ float s[128]; x += (size_t)blockIdx.x * cols; out += (size_t)blockIdx.x * cols;
    float m = -1e4f; for (int i = threadIdx.x; i < cols; i += 128) m = fmaxf(m, x[i]);
    s[threadIdx.x] = m; __syncthreads();
    for (int w = 64; w; w >>= 1) { if (threadIdx.x < w) s[threadIdx.x] = fmaxf(s[threadIdx.x], s[threadIdx.x + w]); __syncthreads(); }
    m = s[0]; __syncthreads();
    float l = 0; for (int i = threadIdx.x; i < cols; i += 128) l += expf(x[i] - m);
    s[threadIdx.x] = l; __syncthreads();
    for (int w = 64; w; w >>= 1) { if (threadIdx.x < w) s[threadIdx.x] += s[threadIdx.x + w]; __syncthreads(); }
    for (int i = threadIdx.x; i < cols; i += 128) out[i] = expf(x[i] - m) / s[0];
}
