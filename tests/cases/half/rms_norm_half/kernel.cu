// launch rms<<<R, 256>>>(x, w, out, C)
#include <cuda_fp16.h>
extern "C" __global__ void rms(const half* x, const half* w, half* out, int C) {
    __shared__ float s[8];
    x += (size_t)blockIdx.x * C, out += (size_t)blockIdx.x * C;
    float sum = 0.f;
    for (int i = threadIdx.x; i < C; i += 256) sum += __half2float(x[i]) * __half2float(x[i]);
    for (int d = 16; d; d >>= 1) sum += __shfl_down_sync(~0u, sum, d);
    if ((threadIdx.x & 31) == 0) s[threadIdx.x >> 5] = sum;
    __syncthreads();
    if (threadIdx.x < 8) {
        sum = s[threadIdx.x];
        for (int d = 4; d; d >>= 1) sum += __shfl_down_sync(0xff, sum, d, 8);
        if (threadIdx.x == 0) s[0] = rsqrtf(sum / C + 1e-6f);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < C; i += 256) out[i] = __hmul(__float2half(__half2float(x[i]) * s[0]), w[i]);
}
