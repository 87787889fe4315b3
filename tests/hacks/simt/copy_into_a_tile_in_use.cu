// hack: the next copy begins while other threads still read the tile
// expect: fault
// reason: race|not written
#include <cuda_pipeline.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    __pipeline_memcpy_async(&s[t], &a[i], 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    float next = s[(t + 1) % 256];
    __pipeline_memcpy_async(&s[t], &a[i], 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    o[i] = s[t] + next + a[i] - a[blockIdx.x * 256 + (t + 1) % 256];
}
