// launch swiglu<<<ceil_div(n, 1024), 128>>>(x, y, out, n)
#include <cuda_bf16.h>
extern "C" __global__ void swiglu(const __nv_bfloat16* x, const __nv_bfloat16* y, __nv_bfloat16* out, int n) {
    int i = 8 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 8 <= n) {
        uint4 a = *reinterpret_cast<const uint4*>(x + i), b = *reinterpret_cast<const uint4*>(y + i), c;
        const __nv_bfloat162 *pa = reinterpret_cast<const __nv_bfloat162*>(&a), *pb = reinterpret_cast<const __nv_bfloat162*>(&b);
        __nv_bfloat162* pc = reinterpret_cast<__nv_bfloat162*>(&c);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float2 u = __bfloat1622float2(pa[j]), v = __bfloat1622float2(pb[j]);
            pc[j] = __float22bfloat162_rn(make_float2(u.x / (1.f + __expf(-u.x)) * v.x, u.y / (1.f + __expf(-u.y)) * v.y));
        }
        *reinterpret_cast<uint4*>(out + i) = c;
    } else {
        for (; i < n; i++) {
            float u = __bfloat162float(x[i]);
            out[i] = __float2bfloat16(u / (1.f + __expf(-u)) * __bfloat162float(y[i]));
        }
    }
}
