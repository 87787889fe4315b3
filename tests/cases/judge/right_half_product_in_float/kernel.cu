#include <cuda_fp16.h>
// launch k<<<dim3(ceil_div(n, 16), ceil_div(m, 16)), dim3(16, 16)>>>(a, b, out, m, n, k)
extern "C" __global__ void k(const __half* a, const __half* b, __half* out, int m, int n, int kk) {
    __shared__ __half A[16][16], B[16][16]; int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y; float s = 0.f;
    for (int k0 = 0; k0 < kk; k0 += 16) {
        A[threadIdx.y][threadIdx.x] = r < m && k0 + threadIdx.x < kk ? a[(size_t)r * kk + k0 + threadIdx.x] : __float2half(0.f);
        B[threadIdx.y][threadIdx.x] = c < n && k0 + threadIdx.y < kk ? b[(size_t)(k0 + threadIdx.y) * n + c] : __float2half(0.f);
        __syncthreads();
        for (int k = 0; k < 16; k++) s += __half2float(A[threadIdx.y][k]) * __half2float(B[k][threadIdx.x]);
        __syncthreads();
    }
    if (r < m && c < n) out[(size_t)r * n + c] = __float2half(s);
}
