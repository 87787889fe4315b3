// launch attn<<<dim3(S, B), 64, (S + 64) * 4>>>(q, k, v, out, S, D)
extern "C" __global__ void attn(const float* q, const float* k, const float* v, float* out, int S, int D) {
    extern __shared__ float sh[];
    float* p = sh; float* red = sh + S;
    size_t base = (size_t)blockIdx.y * S * D; int r = blockIdx.x, t = threadIdx.x;
    float m = -1e3f, sc = 1.0f / sqrtf((float)D);
    for (int j = t; j < S; j += 64) {
        float s = 0.f; for (int d = 0; d < D; d++) s += q[base + (size_t)r * D + d] * k[base + (size_t)j * D + d];
        p[j] = s * sc; m = fmaxf(m, p[j]);
    }
    red[t] = m; __syncthreads();
    for (int w = 32; w > 0; w >>= 1) { if (t < w) red[t] = fmaxf(red[t], red[t + w]); __syncthreads(); }
    m = red[0]; __syncthreads();
    float l = 0.f;
    for (int j = t; j < S; j += 64) { p[j] = expf(p[j] - m); l += p[j]; }
    red[t] = l; __syncthreads();
    for (int w = 32; w > 0; w >>= 1) { if (t < w) red[t] += red[t + w]; __syncthreads(); }
    l = red[0];
    for (int d = t; d < D; d += 64) { float o = 0.f; for (int j = 0; j < S; j++) o += p[j] * v[base + (size_t)j * D + d]; out[base + (size_t)r * D + d] = o / l; }
}
