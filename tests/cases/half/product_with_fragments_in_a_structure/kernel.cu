// launch mm<<<dim3(ceil_div(N, 32), ceil_div(M, 32)), dim3(32, 4)>>>(a, b, out, M, N, K)
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <mma.h>
namespace wmma = nvcuda::wmma;
using FragA = wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major>;
using FragB = wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major>;
using FragC = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;
struct Tile { FragA a; FragB b; FragC c; };
template <typename Frag>
__device__ __forceinline__ void load_any(Frag& f, const __half* p, int rows, int cols, int ld, __half* buf) {
    if (rows >= 16 && cols >= 16 && ld % 16 == 0) {
        wmma::load_matrix_sync(f, p, ld);
        return;
    }
    for (int i = threadIdx.x; i < 256; i += 32)
        buf[i] = (i / 16 < rows && i % 16 < cols) ? p[(size_t)(i / 16) * ld + i % 16] : __float2half(0.f);
    __syncwarp();
    wmma::load_matrix_sync(f, buf, 16);
    __syncwarp();
}
extern "C" __global__ void mm(const __half* __restrict__ a, const __half* __restrict__ b, __half* __restrict__ c, int M, int N, int K) {
    __shared__ __half buf[4][256];
    __shared__ float cbuf[4][256];
    const int warp = threadIdx.y;
    const int r = blockIdx.y * 32 + warp / 2 * 16, s = blockIdx.x * 32 + warp % 2 * 16;
    if (r >= M || s >= N) return;
    Tile t;
    wmma::fill_fragment(t.c, 0);
    for (int k = 0; k < K; k += 16) {
        load_any(t.a, a + (size_t)r * K + k, M - r, K - k, K, buf[warp]);
        load_any(t.b, b + (size_t)k * N + s, K - k, N - s, N, buf[warp]);
        wmma::mma_sync(t.c, t.a, t.b, t.c);
    }
#pragma unroll
    for (int i = 0; i < FragC::num_elements; ++i) t.c.x[i] = fmaxf(t.c.x[i], 0.f);
    if (M - r >= 16 && N - s >= 16 && N % 8 == 0) {
        wmma::fragment<wmma::accumulator, 16, 16, 16, __half> h;
        for (int i = 0; i < h.num_elements; i++) h.x[i] = __float2half(t.c.x[i]);
        wmma::store_matrix_sync(c + (size_t)r * N + s, h, N, wmma::mem_row_major);
        return;
    }
    wmma::store_matrix_sync(cbuf[warp], t.c, 16, wmma::mem_row_major);
    __syncwarp();
    for (int i = threadIdx.x; i < 256; i += 32)
        if (r + i / 16 < M && s + i % 16 < N) c[(size_t)(r + i / 16) * N + s + i % 16] = __float2half(cbuf[warp][i]);
}
