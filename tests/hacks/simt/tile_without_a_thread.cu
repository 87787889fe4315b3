// hack: one thread of a tile does not take part in its sum
// expect: fault|wrong
// reason: deadlock|^$
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(float* o, const float* a, int n) {
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f;
    if (tile.thread_rank() != 3) sum = cg::reduce(tile, a[i], cg::plus<float>());
    tile.sync();
    o[i] = 2.0f * a[i] + 0.0f * sum;
}
