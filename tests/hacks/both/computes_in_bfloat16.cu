// B10: computes in bfloat16 what is asked for in float32.
// expect cuda: wrong
// expect simt: wrong
#include <cuda_bf16.h>
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __bfloat162float(__float2bfloat16(x[i] + y[i]));
}
