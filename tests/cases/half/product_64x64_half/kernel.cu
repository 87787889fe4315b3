// launch mm<<<dim3(ceil_div(N, 64), ceil_div(M, 64)), 128>>>(a, b, out, M, K, N)
#include <mma.h>
using namespace nvcuda;
constexpr int BM = 64, BN = 64, BK = 32, PAD = 8;
extern "C" __global__ void __launch_bounds__(128) mm(const half* __restrict__ a, const half* __restrict__ b, half* __restrict__ c,
                                                    int M, int K, int N) {
    __shared__ __align__(32) half as[BM][BK + PAD];
    __shared__ __align__(32) half bs[BK][BN + PAD];
    __shared__ __align__(32) float cs[4][16 * 20];
    int tid = threadIdx.x, warp = tid / 32, lane = tid % 32, wr = warp / 2, wc = warp % 2;
    int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc[2][2];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) wmma::fill_fragment(acc[i][j], 0.0f);
    for (int k0 = 0; k0 < K; k0 += BK) {
        for (int i = tid; i < BM * BK; i += 128) {
            int y = i / BK, x = i % BK;
            as[y][x] = row0 + y < M && k0 + x < K ? a[(size_t)(row0 + y) * K + k0 + x] : __float2half(0.0f);
        }
        for (int i = tid; i < BK * BN; i += 128) {
            int y = i / BN, x = i % BN;
            bs[y][x] = k0 + y < K && col0 + x < N ? b[(size_t)(k0 + y) * N + col0 + x] : __float2half(0.0f);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BK; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa[2];
            wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> fb[2];
            for (int i = 0; i < 2; i++) wmma::load_matrix_sync(fa[i], &as[wr * 32 + i * 16][k], BK + PAD);
            for (int j = 0; j < 2; j++) wmma::load_matrix_sync(fb[j], &bs[k][wc * 32 + j * 16], BN + PAD);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++) wmma::mma_sync(acc[i][j], fa[i], fb[j], acc[i][j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            wmma::store_matrix_sync(cs[warp], acc[i][j], 20, wmma::mem_row_major);
            __syncwarp();
            for (int e = lane; e < 256; e += 32) {
                int r = row0 + wr * 32 + i * 16 + e / 16, s = col0 + wc * 32 + j * 16 + e % 16;
                if (r < M && s < N) c[(size_t)r * N + s] = __float2half(cs[warp][e / 16 * 20 + e % 16]);
            }
            __syncwarp();
        }
}
