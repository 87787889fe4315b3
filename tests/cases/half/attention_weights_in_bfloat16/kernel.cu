// launch attn<<<dim3(S, B), 128, (S + 128) * 4>>>(q, k, v, out, S, D)
#include <cuda_bf16.h>
extern "C" __global__ void attn(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v, __nv_bfloat16* out, int S, int D) {
    extern __shared__ float sh[];
    float* p = sh; float* red = sh + S;
    size_t base = (size_t)blockIdx.y * S * D; int r = blockIdx.x, t = threadIdx.x;
    float m = -INFINITY, sc = 1.0f / sqrtf((float)D);
    for (int j = t; j < S; j += 128) {
        float s = 0.f; for (int d = 0; d < D; d++) s += __bfloat162float(q[base + (size_t)r * D + d]) * __bfloat162float(k[base + (size_t)j * D + d]);
        p[j] = s * sc; m = fmaxf(m, p[j]);
    }
    red[t] = m; __syncthreads();
    for (int w = 64; w > 0; w >>= 1) { if (t < w) red[t] = fmaxf(red[t], red[t + w]); __syncthreads(); }
    m = red[0]; __syncthreads();
    float l = 0.f;
    for (int j = t; j < S; j += 128) { p[j] = expf(p[j] - m); l += p[j]; p[j] = __bfloat162float(__float2bfloat16(p[j])); }
    red[t] = l; __syncthreads();
    for (int w = 64; w > 0; w >>= 1) { if (t < w) red[t] += red[t + w]; __syncthreads(); }
    l = red[0];
    for (int d = t; d < D; d += 128) { float o = 0.f; for (int j = 0; j < S; j++) o += p[j] * __bfloat162float(v[base + (size_t)j * D + d]); out[base + (size_t)r * D + d] = __float2bfloat16(o / l); }
}
