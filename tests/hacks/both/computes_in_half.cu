// B10: computes in float16 what is asked for in float32.
// expect cuda: wrong
// expect simt: wrong
#include <cuda_fp16.h>
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __half2float(__float2half(x[i])) + __half2float(__float2half(y[i]));
}
