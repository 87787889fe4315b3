// launch bmm<<<dim3(ceil_div(N, 8), ceil_div(M, 32), B), 32>>>(a, b, out, M, K, N)
#include <mma.h>
using namespace nvcuda::wmma;
template <typename F> __device__ void tile(half* to, int rows, int columns, F value) {
    for (int i = threadIdx.x; i < rows * columns; i += 32) to[i] = value(i / columns, i % columns);
}
extern "C" __global__ void bmm(const half* a, const half* b, half* c, int M, int K, int N) {
    __shared__ half as[32 * 16], bs[16 * 8];
    __shared__ float cs[32 * 8];
    int row = blockIdx.y * 32, col = blockIdx.x * 8;
    a += (size_t)blockIdx.z * M * K, b += (size_t)blockIdx.z * K * N, c += (size_t)blockIdx.z * M * N;
    fragment<accumulator, 32, 8, 16, float> acc;
    fill_fragment(acc, 0.f);
    for (int k = 0; k < K; k += 16) {
        tile(as, 32, 16, [&](int y, int x) { return row + y < M && k + x < K ? a[(row + y) * K + k + x] : half(0.f); });
        tile(bs, 16, 8, [&](int y, int x) { return k + y < K && col + x < N ? b[(k + y) * N + col + x] : half(0.f); });
        __syncwarp();
        fragment<matrix_a, 32, 8, 16, half, row_major> fa;
        fragment<matrix_b, 32, 8, 16, half, row_major> fb;
        load_matrix_sync(fa, as, 16);
        load_matrix_sync(fb, bs, 8);
        mma_sync(acc, fa, fb, acc);
        __syncwarp();
    }
    store_matrix_sync(cs, acc, 8, mem_row_major);
    __syncwarp();
    for (int i = threadIdx.x; i < 256; i += 32)
        if (row + i / 8 < M && col + i % 8 < N) c[(row + i / 8) * N + col + i % 8] = __float2half(cs[i]);
}
