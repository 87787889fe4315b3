// hack: mixes half and float, which nvcc calls ambiguous
// expect: compile_error
// reason: ambiguous
#include <cuda_fp16.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = __float2half(a[i]) * 2.0f;
}
