// launch mm<<<dim3(ceil_div(N, 16), ceil_div(M, 16)), 32>>>(a, b, out, M, K, N)
#include <mma.h>
using namespace nvcuda;
extern "C" __global__ void mm(const half* a, const half* b, half* c, int M, int K, int N) {
    __shared__ half as[16 * 16], bs[16 * 16];
    __shared__ float cs[16 * 16];
    int row = blockIdx.y * 16, col = blockIdx.x * 16, lane = threadIdx.x;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
    wmma::fill_fragment(acc, 0.0f);
    for (int k = 0; k < K; k += 16) {
        for (int i = lane; i < 256; i += 32) {
            int y = i / 16, x = i % 16;
            as[i] = row + y < M && k + x < K ? a[(row + y) * K + k + x] : __float2half(0.0f);
            bs[i] = k + y < K && col + x < N ? b[(k + y) * N + col + x] : __float2half(0.0f);
        }
        __syncwarp();
        wmma::load_matrix_sync(fa, as, 16);
        wmma::load_matrix_sync(fb, bs, 16);
        wmma::mma_sync(acc, fa, fb, acc);
        __syncwarp();
    }
    wmma::store_matrix_sync(cs, acc, 16, wmma::mem_row_major);
    __syncwarp();
    for (int i = lane; i < 256; i += 32)
        if (row + i / 16 < M && col + i % 16 < N) c[(row + i / 16) * N + col + i % 16] = __float2half(cs[i]);
}
