// cooperative groups throughout
// problem: total
// scratch partial float32[24]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    cg::thread_block block = cg::this_thread_block();
    auto warp = cg::tiled_partition<32>(block);
    __shared__ float sums[3];
    __shared__ bool last;
    a = cg::reduce(warp, a, cg::plus<float>());
    if (warp.thread_rank() == 0) sums[warp.meta_group_rank()] = a;
    block.sync();
    if (block.thread_rank() == 0) {
        partial[blockIdx.x] = sums[0] + sums[1] + sums[2];
        __threadfence();
        last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    }
    cg::sync(block);
    if (last && warp.meta_group_rank() == 0) {
        a = warp.thread_rank() < gridDim.x ? partial[warp.thread_rank()] : 0.0f;
        for (int h = 16; h; h >>= 1) a += warp.shfl_down(a, h);
        if (warp.thread_rank() == 0) *out = a;
    }
}
