// launch norm<<<ceil_div(R, 4), dim3(32, 4)>>>(x, w, b, out, R, C)
#include <cuda_bf16.h>
struct Moments { float mean, m2, n; };
__device__ Moments join(Moments a, Moments b) {
    float n = a.n + b.n;
    if (n == 0.f) return a;
    float d = b.mean - a.mean;
    return {a.mean + d * b.n / n, a.m2 + b.m2 + d * d * a.n * b.n / n, n};
}
extern "C" __global__ void norm(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b, __nv_bfloat16* out, int R, int C) {
    int row = blockIdx.x * 4 + threadIdx.y;
    if (row >= R) return;
    x += (size_t)row * C, out += (size_t)row * C;
    Moments m = {0.f, 0.f, 0.f};
    for (int i = threadIdx.x; i < C; i += 32) m = join(m, Moments{__bfloat162float(x[i]), 0.f, 1.f});
    for (int d = 16; d; d >>= 1) {
        Moments o = {__shfl_xor_sync(~0u, m.mean, d), __shfl_xor_sync(~0u, m.m2, d), __shfl_xor_sync(~0u, m.n, d)};
        m = threadIdx.x & d ? join(o, m) : join(m, o);
    }
    float scale = rsqrtf(m.m2 / C + 1e-5f);
    for (int i = threadIdx.x; i < C; i += 32)
        out[i] = __float2bfloat16((__bfloat162float(x[i]) - m.mean) * scale * __bfloat162float(w[i]) + __bfloat162float(b[i]));
}
