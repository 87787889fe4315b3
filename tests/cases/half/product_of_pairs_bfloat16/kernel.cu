// launch mm<<<dim3(ceil_div(N, 32), ceil_div(M, 8)), dim3(32, 8)>>>(a, b, out, M, K, N)
#include <cuda_bf16.h>
extern "C" __global__ void mm(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* c, int M, int K, int N) {
    int col = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 8 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    int k = 0;
    if (K % 2 == 0)
        for (; k + 1 < K; k += 2) {
            float2 x = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(a + (size_t)row * K + k));
            float2 y = __bfloat1622float2(__halves2bfloat162(b[(size_t)k * N + col], b[(size_t)(k + 1) * N + col]));
            sum = fmaf(x.x, y.x, sum);
            sum = fmaf(x.y, y.y, sum);
        }
    for (; k < K; k++) sum += __bfloat162float(a[(size_t)row * K + k]) * __bfloat162float(b[(size_t)k * N + col]);
    c[(size_t)row * N + col] = __float2bfloat16(sum);
}
