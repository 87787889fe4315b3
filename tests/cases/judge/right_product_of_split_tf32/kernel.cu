// launch mm<<<dim3(ceil_div(N, 16), ceil_div(M, 16)), 32>>>(a, b, out, M, N, K)
#include <mma.h>
using namespace nvcuda::wmma;
extern "C" __global__ void mm(const float* a, const float* b, float* c, int M, int N, int K) {
    __shared__ float as[2][16 * 8], bs[2][8 * 16], cs[256];
    int r = blockIdx.y * 16, s = blockIdx.x * 16, lane = threadIdx.x;
    fragment<accumulator, 16, 16, 8, float> acc;
    fill_fragment(acc, 0.0f);
    for (int k = 0; k < K; k += 8) {
        for (int i = lane; i < 128; i += 32) {
            float x = r + i / 8 < M && k + i % 8 < K ? a[(r + i / 8) * K + k + i % 8] : 0.f, hx = __float_to_tf32(x);
            float y = k + i / 16 < K && s + i % 16 < N ? b[(k + i / 16) * N + s + i % 16] : 0.f, hy = __float_to_tf32(y);
            as[0][i] = hx, as[1][i] = __float_to_tf32(x - hx), bs[0][i] = hy, bs[1][i] = __float_to_tf32(y - hy);
        }
        __syncwarp();
        for (int p = 0; p < 3; p++) {  // three products of tf32 are as good as single precision
            fragment<matrix_a, 16, 16, 8, precision::tf32, row_major> fa;
            fragment<matrix_b, 16, 16, 8, precision::tf32, row_major> fb;
            load_matrix_sync(fa, as[p == 0], 8);
            load_matrix_sync(fb, bs[p == 1], 16);
            mma_sync(acc, fa, fb, acc);
        }
        __syncwarp();
    }
    store_matrix_sync(cs, acc, 16, mem_row_major);
    __syncwarp();
    for (int i = lane; i < 256; i += 32)
        if (r + i / 16 < M && s + i % 16 < N) c[(r + i / 16) * N + s + i % 16] = cs[i];
}
