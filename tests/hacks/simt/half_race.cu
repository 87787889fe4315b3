// hack: a race whose reads pass a half by value
// expect: fault
// reason: race
#include <cuda_fp16.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ half s[256];
    int t = threadIdx.x;
    s[t] = __float2half(a[i]);
    float q = __half2float(s[t ? t - 1 : 0]);
    o[i] = 2.0f * a[i] + 0.0f * (q > 1e38f);
}
