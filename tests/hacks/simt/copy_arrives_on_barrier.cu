// hack: asynchronous copies that arrive on a barrier
// expect: unsupported
// reason: barriers of asynchronous copies
#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    __pipeline_memcpy_async(&s[t], &a[i], 4);
    __pipeline_arrive_on((__mbarrier_t*)s);
    __pipeline_wait_prior(0);
    __syncthreads();
    o[i] = 2.0f * s[t];
}
