// hack: the same with cooperative groups
// expect: fault
// reason: divergent barrier
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64];
    s[t] = a;
    auto block = cg::this_thread_block();
    if (t < 32) block.sync();
    else block.sync();
    if (t) return;
    for (int j = 1; j < 64; j++) a += s[j];
    out[row] = a;
}
