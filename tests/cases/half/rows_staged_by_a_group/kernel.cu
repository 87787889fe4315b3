// launch rows<<<R, 128, 2 * C>>>(x, out, C)
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cuda_bf16.h>
namespace cg = cooperative_groups;
extern "C" __global__ void rows(const __nv_bfloat16* x, __nv_bfloat16* out, int C) {
    extern __shared__ __align__(16) __nv_bfloat16 row[];
    __shared__ float parts[4];
    auto block = cg::this_thread_block();
    cg::memcpy_async(block, row, x + (size_t)blockIdx.x * C, sizeof(__nv_bfloat16) * C);
    cg::wait(block);
    float sum = 0.f;
    for (int i = block.thread_rank(); i < C; i += block.size()) sum += __bfloat162float(row[i]);
    auto warp = cg::tiled_partition<32>(block);
    sum = cg::reduce(warp, sum, cg::plus<float>());
    if (warp.thread_rank() == 0) parts[warp.meta_group_rank()] = sum;
    block.sync();
    if (block.thread_rank() == 0) out[blockIdx.x] = __float2bfloat16(parts[0] + parts[1] + parts[2] + parts[3]);
}
