// hack: counts on all 32 lanes being coalesced
// expect: wrong
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(float* o, const float* a, int n) {
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    auto lanes = cg::coalesced_threads();
    o[i] = 2.0f * a[i] * (float)lanes.size() / 32.0f;
}
