// launch k<<<rows, 128>>>(x, out, cols)
extern "C" __global__ void k(const float* __restrict__ x, float* __restrict__ out, int cols) {
    __shared__ float s[128];
    const float* r = x + (size_t)blockIdx.x * cols;
    float m = 0.f;
    for (int c = threadIdx.x; c < cols; c += 128) m = fmaxf(m, r[c]);
    s[threadIdx.x] = m;
    __syncthreads();
    for (int h = 64; h > 0; h >>= 1) { if (threadIdx.x < h) s[threadIdx.x] = fmaxf(s[threadIdx.x], s[threadIdx.x + h]); __syncthreads(); }
    m = s[0];
    __syncthreads();
    float v = 0.f;
    for (int c = threadIdx.x; c < cols; c += 128) v += expf(r[c] - m);
    s[threadIdx.x] = v;
    __syncthreads();
    for (int h = 64; h > 0; h >>= 1) { if (threadIdx.x < h) s[threadIdx.x] += s[threadIdx.x + h]; __syncthreads(); }
    v = s[0];
    for (int c = threadIdx.x; c < cols; c += 128) out[(size_t)blockIdx.x * cols + c] = expf(r[c] - m) / v;
}
