// hack: an accumulator that nobody has set
// expect: wrong
#include <mma.h>
using namespace nvcuda;
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ half s[256], d[256];
    int t = threadIdx.x;
    s[t] = __float2half(a[blockIdx.x * 256 + t]);
    d[t] = __float2half(t / 16 == t % 16 ? 2.0f : 0.0f);
    __syncthreads();
    if (t < 32) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> x;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> y;
        wmma::fragment<wmma::accumulator, 16, 16, 16, float> z;
        wmma::load_matrix_sync(x, s, 16);
        wmma::load_matrix_sync(y, d, 16);
        wmma::mma_sync(z, x, y, z);
        wmma::store_matrix_sync(o + blockIdx.x * 256, z, 16, wmma::mem_row_major);
    }
}
