// hack: defines a fragment with less room than a product needs
// expect: wrong|fault
// reason: written|outside|local
#include <mma.h>
namespace nvcuda { namespace wmma {
template <> class fragment<accumulator, 16, 16, 16, float, void> {
public:
    enum { num_elements = 1, num_storage_elements = 1 };
    using element_type = float;
    using storage_element_type = float;
    float x[1];
};
} }
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
        z.x[0] = 0.0f;
        wmma::load_matrix_sync(x, s, 16);
        wmma::load_matrix_sync(y, d, 16);
        wmma::mma_sync(z, x, y, z);
        o[blockIdx.x * 256 + t] = z.x[0];
    }
}
