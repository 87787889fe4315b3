// hack: groups by label
// expect: unsupported
// reason: labeled_partition
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(float* o, const float* a, int n) {
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    auto same = cg::labeled_partition(tile, i % 3);
    float sum = cg::reduce(tile, a[i], cg::plus<float>());
    o[i] = 2.0f * a[i] + 0.0f * sum;
}
