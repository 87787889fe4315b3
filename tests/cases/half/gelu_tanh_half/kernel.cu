// launch gelu<<<ceil_div(n, 256), 256>>>(x, out, n)
#include <cuda_fp16.h>
extern "C" __global__ void gelu(const __half* x, __half* out, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float v = __half2float(x[i]);
        out[i] = __float2half_rn(0.5f * v * (1.f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v))));
    }
}
