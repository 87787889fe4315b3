// launch linear<<<dim3(ceil_div(N, 16), ceil_div(M, 16)), 32>>>(x, w, b, out, M, K, N)
#include <mma.h>
using namespace nvcuda;
__device__ float finish(float v) { return 0.5f * v * (1.0f + erff(v * 0.70710678f)); }
extern "C" __global__ void linear(const half* x, const half* w, const half* b, half* out, int M, int K, int N) {
    __shared__ half xs[256], ws[256];
    __shared__ float bias[16], os[256];
    int row = blockIdx.y * 16, col = blockIdx.x * 16, lane = threadIdx.x;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fx;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> fw;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
    if (lane < 16) bias[lane] = col + lane < N ? __half2float(b[col + lane]) : 0.0f;
    __syncwarp();
    wmma::load_matrix_sync(acc, bias, 0, wmma::mem_row_major);
    for (int k = 0; k < K; k += 16) {
        for (int i = lane; i < 256; i += 32) {
            int r = i / 16, s = k + i % 16;
            xs[i] = row + r < M && s < K ? x[(row + r) * K + s] : __float2half(0.0f);
            ws[i] = col + r < N && s < K ? w[(col + r) * K + s] : __float2half(0.0f);
        }
        __syncwarp();
        wmma::load_matrix_sync(fx, xs, 16);
        wmma::load_matrix_sync(fw, ws, 16);
        wmma::mma_sync(acc, fx, fw, acc);
        __syncwarp();
    }
    for (int i = 0; i < acc.num_elements; i++) acc.x[i] = finish(acc.x[i]);
    wmma::store_matrix_sync(os, acc, 16, wmma::mem_row_major);
    __syncwarp();
    for (int i = lane; i < 256; i += 32)
        if (row + i / 16 < M && col + i % 16 < N) out[(row + i / 16) * N + col + i % 16] = __float2half(os[i]);
}
