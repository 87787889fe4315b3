// launch mm<<<dim3(ceil_div(N, 32), ceil_div(M, 8)), dim3(32, 8)>>>(a, b, out, M, K, N)
#include <cuda_fp16.h>
extern "C" __global__ void mm(const half* a, const half* b, half* c, int M, int K, int N) {
    int col = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 8 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    int k = 0;
    if (K % 2 == 0)
        for (; k + 1 < K; k += 2) {
            float2 x = __half22float2(*reinterpret_cast<const half2*>(a + (size_t)row * K + k));
            float2 y = __half22float2(__halves2half2(b[(size_t)k * N + col], b[(size_t)(k + 1) * N + col]));
            sum = fmaf(x.x, y.x, sum);
            sum = fmaf(x.y, y.y, sum);
        }
    for (; k < K; k++) sum += __half2float(a[(size_t)row * K + k]) * __half2float(b[(size_t)k * N + col]);
    c[(size_t)row * N + col] = __float2half(sum);
}
