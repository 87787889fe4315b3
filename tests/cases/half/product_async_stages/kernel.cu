// launch mm<<<dim3(ceil_div(N, 32), ceil_div(M, 32)), 128>>>(a, b, out, M, K, N)
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <mma.h>
using namespace nvcuda;
constexpr int BM = 32, BN = 32, BK = 32, STAGES = 3;
// Eight numbers of a row: at once where they are aligned and there, or one by one.
__device__ void fetch(half* to, const half* from, int there, bool aligned) {
    if (aligned && (there >= 8 || there <= 0)) {
        __pipeline_memcpy_async(to, from, 16, there <= 0 ? 16 : 0);
        return;
    }
    for (int i = 0; i < 8; i++) to[i] = i < there ? from[i] : __float2half(0.0f);
}
extern "C" __global__ void mm(const half* a, const half* b, half* c, int M, int K, int N) {
    __shared__ __align__(128) half as[STAGES][BM][BK + 8];
    __shared__ __align__(128) half bs[STAGES][BK][BN + 8];
    __shared__ __align__(128) float cs[4][256];
    int tid = threadIdx.x, warp = tid / 32, row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    int tiles = (K + BK - 1) / BK;
    auto load = [&](int tile) {
        if (tile < tiles) {
            int stage = tile % STAGES, y = tid / 4, x = tid % 4 * 8, k0 = tile * BK;
            int in_a = row0 + y < M ? K - k0 - x : 0, in_b = k0 + y < K ? N - col0 - x : 0;
            fetch(&as[stage][y][x], in_a > 0 ? a + (size_t)(row0 + y) * K + k0 + x : a, in_a, K % 8 == 0);
            fetch(&bs[stage][y][x], in_b > 0 ? b + (size_t)(k0 + y) * N + col0 + x : b, in_b, N % 8 == 0);
        }
        __pipeline_commit();
    };
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
    wmma::fill_fragment(acc, 0.0f);
    for (int s = 0; s < STAGES - 1; s++) load(s);
    for (int tile = 0; tile < tiles; tile++) {
        __pipeline_wait_prior(STAGES - 2);
        __syncthreads();
        load(tile + STAGES - 1);
        int stage = tile % STAGES;
        for (int k = 0; k < BK; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
            wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> fb;
            wmma::load_matrix_sync(fa, &as[stage][warp / 2 * 16][k], BK + 8);
            wmma::load_matrix_sync(fb, &bs[stage][k][warp % 2 * 16], BN + 8);
            wmma::mma_sync(acc, fa, fb, acc);
        }
    }
    wmma::store_matrix_sync(cs[warp], acc, 16, wmma::mem_row_major);
    __syncwarp();
    for (int e = tid % 32; e < 256; e += 32) {
        int r = row0 + warp / 2 * 16 + e / 16, s = col0 + warp % 2 * 16 + e % 16;
        if (r < M && s < N) c[(size_t)r * N + s] = __float2half(cs[warp][e]);
    }
}
