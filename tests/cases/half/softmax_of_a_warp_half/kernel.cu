// launch softmax<<<ceil_div(R, 4), 128>>>(x, out, R, C)
#include <cuda_fp16.h>
extern "C" __global__ void softmax(const half* x, half* out, int R, int C) {
    int row = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= R) return;
    x += (size_t)row * C, out += (size_t)row * C;
    float top = -INFINITY, sum = 0.0f;
    for (int i = lane; i < C; i += 32) top = fmaxf(top, __half2float(x[i]));
    for (int d = 16; d; d /= 2) top = fmaxf(top, __shfl_xor_sync(~0u, top, d));
    for (int i = lane; i < C; i += 32) sum += __expf(__half2float(x[i]) - top);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = lane; i < C; i += 32) out[i] = __float2half(__expf(__half2float(x[i]) - top) / sum);
}
