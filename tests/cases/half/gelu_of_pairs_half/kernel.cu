// launch gelu<<<ceil_div(n, 512), 256>>>(x, out, n)
#include <cuda_fp16.h>
__device__ __forceinline__ float gelu1(float v) { return 0.5f * v * (1.0f + erff(v * 0.70710678f)); }
extern "C" __global__ void gelu(const half* x, half* out, int n) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 1 < n) {
        float2 v = __half22float2(*(const half2*)(x + i));
        *(half2*)(out + i) = __floats2half2_rn(gelu1(v.x), gelu1(v.y));
    } else if (i < n) {
        out[i] = __float2half(gelu1(__half2float(x[i])));
    }
}
