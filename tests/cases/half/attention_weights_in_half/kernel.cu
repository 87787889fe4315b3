// launch flash<<<dim3(ceil_div(S, 16), B), 32, 16 * (3 * (ceil_div(D, 16) * 16) * 2 + 16 * 4 + 16 * 4 + ceil_div(D, 16) * 16 * 4 + 12)>>>(q, k, v, out, S, D)
#include <mma.h>
using namespace nvcuda;
extern "C" __global__ void flash(const half* q, const half* k, const half* v, half* out, int S, int D) {
    extern __shared__ __align__(128) char memory[];
    const int W = (D + 15) / 16 * 16, lane = threadIdx.x, first = blockIdx.x * 16;
    half* qs = (half*)memory;
    half* ks = qs + 16 * W;
    half* vs = ks + 16 * W;
    half* ps = vs + 16 * W;
    float* ss = (float*)(ps + 256);
    float* os = ss + 256;
    float *top = os + 16 * W, *sum = top + 16, *scale = sum + 16;
    const size_t base = (size_t)blockIdx.y * S * D;
    for (int i = lane; i < 16 * W; i += 32) {
        int r = first + i / W, d = i % W;
        qs[i] = r < S && d < D ? q[base + (size_t)r * D + d] : __float2half(0.f);
        os[i] = 0.f;
    }
    if (lane < 16) top[lane] = -INFINITY, sum[lane] = 0.f;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> kt;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> vb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
    for (int j0 = 0; j0 < S; j0 += 16) {
        for (int i = lane; i < 16 * W; i += 32) {
            int r = j0 + i / W, d = i % W;
            bool there = r < S && d < D;
            ks[i] = there ? k[base + (size_t)r * D + d] : __float2half(0.f);
            vs[i] = there ? v[base + (size_t)r * D + d] : __float2half(0.f);
        }
        __syncwarp();
        wmma::fill_fragment(acc, 0.f);
        for (int d = 0; d < W; d += 16) {
            wmma::load_matrix_sync(a, qs + d, W);
            wmma::load_matrix_sync(kt, ks + d, W);
            wmma::mma_sync(acc, a, kt, acc);
        }
        for (int i = 0; i < acc.num_elements; i++) acc.x[i] *= rsqrtf((float)D);
        wmma::store_matrix_sync(ss, acc, 16, wmma::mem_row_major);
        __syncwarp();
        if (lane < 16) {
            float m = top[lane], l = 0.f;
            for (int j = 0; j < 16 && j0 + j < S; j++) m = fmaxf(m, ss[lane * 16 + j]);
            for (int j = 0; j < 16; j++) {
                float p = j0 + j < S ? __expf(ss[lane * 16 + j] - m) : 0.f;
                ps[lane * 16 + j] = __float2half(p);
                l += p;
            }
            scale[lane] = __expf(top[lane] - m);
            sum[lane] = sum[lane] * scale[lane] + l;
            top[lane] = m;
        }
        __syncwarp();
        for (int i = lane; i < 16 * W; i += 32) os[i] *= scale[i / W];
        __syncwarp();
        wmma::load_matrix_sync(a, ps, 16);
        for (int d = 0; d < W; d += 16) {
            wmma::load_matrix_sync(vb, vs + d, W);
            wmma::load_matrix_sync(acc, os + d, W, wmma::mem_row_major);
            wmma::mma_sync(acc, a, vb, acc);
            wmma::store_matrix_sync(os + d, acc, W, wmma::mem_row_major);
        }
        __syncwarp();
    }
    for (int i = lane; i < 16 * W; i += 32) {
        int r = first + i / W, d = i % W;
        if (r < S && d < D) out[base + (size_t)r * D + d] = __float2half(os[i] / sum[i / W]);
    }
}
