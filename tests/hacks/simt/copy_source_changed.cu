// hack: changes what an asynchronous copy reads before it waits
// expect: fault
// reason: source of an asynchronous copy
#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    o[i] = a[i];
    __pipeline_memcpy_async(&s[t], &o[i], 4);
    o[i] = 0.0f;
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    o[i] = 2.0f * s[t];
}
