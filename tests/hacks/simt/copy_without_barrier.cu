// hack: reads what another thread's copy brings, without a barrier
// expect: fault
// reason: race|not written
#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    __pipeline_memcpy_async(&s[t], &a[i], 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    o[i] = s[t] + s[(t + 1) % 256] + a[i] - a[blockIdx.x * 256 + (t + 1) % 256];
}
