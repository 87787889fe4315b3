// launch softmax<<<ceil_div(R, 8), 128>>>(x, out, R, C)
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_fp16.h>
namespace cg = cooperative_groups;
struct Part { float top, sum; };
__device__ Part merge(Part a, Part b) {
    float top = fmaxf(a.top, b.top);
    if (top == -INFINITY) return {top, 0.f};
    return {top, a.sum * __expf(a.top - top) + b.sum * __expf(b.top - top)};
}
extern "C" __global__ void softmax(const half* x, half* out, int R, int C) {
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    int row = blockIdx.x * tile.meta_group_size() + tile.meta_group_rank();
    if (row >= R) return;
    x += (size_t)row * C, out += (size_t)row * C;
    Part part = {-INFINITY, 0.f};
    for (int i = tile.thread_rank(); i < C; i += tile.size()) part = merge(part, Part{__half2float(x[i]), 1.f});
    for (int d = tile.size() / 2; d; d /= 2) part = merge(part, tile.shfl_xor(part, d));
    for (int i = tile.thread_rank(); i < C; i += tile.size())
        out[i] = __float2half(__expf(__half2float(x[i]) - part.top) / part.sum);
}
