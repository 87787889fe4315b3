// hack: writes where an asynchronous copy is about to land
// expect: fault
// reason: written while an asynchronous copy
#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    __pipeline_memcpy_async(&s[t], &a[i], 4);
    __pipeline_commit();
    s[t] = a[i];
    __pipeline_wait_prior(0);
    __syncthreads();
    o[i] = 2.0f * s[t];
}
