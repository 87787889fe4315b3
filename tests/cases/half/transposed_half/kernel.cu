// launch transpose<<<dim3(ceil_div(C, 32), ceil_div(R, 32)), dim3(32, 8)>>>(x, out, R, C)
#include <cuda_fp16.h>
extern "C" __global__ void transpose(const half* x, half* out, int R, int C) {
    __shared__ half tile[32][33];
    int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (r + j < R && c < C) tile[threadIdx.y + j][threadIdx.x] = x[(size_t)(r + j) * C + c];
    __syncthreads();
    c = blockIdx.y * 32 + threadIdx.x, r = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (r + j < C && c < R) out[(size_t)(r + j) * R + c] = tile[threadIdx.x][threadIdx.y + j];
}
