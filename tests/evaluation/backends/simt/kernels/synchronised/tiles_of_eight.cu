// cooperative groups of eight lanes meet in shared memory
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    auto tile = cg::tiled_partition<8>(cg::this_thread_block());
    __shared__ float s[64];
    __shared__ float sums[8];
    s[t] = a;
    tile.sync();
    if (tile.thread_rank() == 0) {
        for (int j = 1; j < 8; j++) a += s[t + j];
        sums[tile.meta_group_rank()] = a;
    }
    cg::this_thread_block().sync();
    if (t == 0) {
        a = 0.0f;
        for (int j = 0; j < 8; j++) a += sums[j];
        out[row] = a;
    }
}
