// launch mul<<<ceil_div(n, 512), 256>>>(x, y, out, n)
#include <cuda_bf16.h>
extern "C" __global__ void mul(const __nv_bfloat16* x, const __nv_bfloat16* y, __nv_bfloat16* out, int n) {
    const __nv_bfloat162 zero = __float2bfloat162_rn(0.f);
    int i = (blockIdx.x * blockDim.x + threadIdx.x) * 2;
    if (i + 1 < n) {
        __nv_bfloat162 p = __hmul2(*(const __nv_bfloat162*)&x[i], *(const __nv_bfloat162*)&y[i]);
        *(__nv_bfloat162*)&out[i] = __hmul2(p, __hgt2(p, zero));
    } else if (i < n) {
        __nv_bfloat16 p = x[i] * y[i];
        out[i] = __hgt(p, __float2bfloat16(0.f)) ? p : __float2bfloat16(0.f);
    }
}
