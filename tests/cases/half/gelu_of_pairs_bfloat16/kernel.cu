// launch gelu<<<ceil_div(n, 512), 256>>>(x, out, n)
#include <cuda_bf16.h>
__device__ __forceinline__ float gelu1(float v) { return 0.5f * v * (1.0f + erff(v * 0.70710678f)); }
extern "C" __global__ void gelu(const __nv_bfloat16* x, __nv_bfloat16* out, int n) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 1 < n) {
        float2 v = __bfloat1622float2(*(const __nv_bfloat162*)(x + i));
        *(__nv_bfloat162*)(out + i) = __floats2bfloat162_rn(gelu1(v.x), gelu1(v.y));
    } else if (i < n) {
        out[i] = __float2bfloat16(gelu1(__bfloat162float(x[i])));
    }
}
