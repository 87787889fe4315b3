// launch attention<<<dim3(S, B), 64, 4 * (S + 2)>>>(q, k, v, out, S, D)
#include <cuda_bf16.h>
extern "C" __global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v, __nv_bfloat16* out, int S, int D) {
    extern __shared__ float p[];
    const size_t base = (size_t)blockIdx.y * S * D;
    q += base + (size_t)blockIdx.x * D, k += base, v += base, out += base + (size_t)blockIdx.x * D;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float top = -INFINITY;
    for (int j = warp; j < S; j += 2) {
        float dot = 0.f;
        for (int d = lane; d < D; d += 32) dot += __bfloat162float(q[d]) * __bfloat162float(k[(size_t)j * D + d]);
        for (int w = 16; w; w >>= 1) dot += __shfl_xor_sync(~0u, dot, w);
        dot *= rsqrtf((float)D);
        if (lane == 0) p[j] = dot;
        top = fmaxf(top, dot);
    }
    if (lane == 0) p[S + warp] = top;
    __syncthreads();
    top = fmaxf(p[S], p[S + 1]);
    for (int d = threadIdx.x; d < D; d += 64) {
        float sum = 0.f, weight = 0.f;
        for (int j = 0; j < S; j++) {
            float e = __expf(p[j] - top);
            weight += e;
            sum += e * __bfloat162float(v[(size_t)j * D + d]);
        }
        out[d] = __float2bfloat16(sum / weight);
    }
}
