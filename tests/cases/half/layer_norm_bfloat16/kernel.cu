// launch norm<<<R, 128>>>(x, w, b, out, C)
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_bf16.h>
namespace cg = cooperative_groups;
__device__ float total(float v, float* s) {
    auto block = cg::this_thread_block();
    auto warp = cg::tiled_partition<32>(block);
    v = cg::reduce(warp, v, cg::plus<float>());
    if (warp.thread_rank() == 0) s[warp.meta_group_rank()] = v;
    block.sync();
    v = s[0] + s[1] + s[2] + s[3];
    block.sync();
    return v;
}
extern "C" __global__ void norm(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b, __nv_bfloat16* out, int C) {
    __shared__ float s[4];
    x += (size_t)blockIdx.x * C, out += (size_t)blockIdx.x * C;
    float sum = 0.f, squares = 0.f;
    for (int i = threadIdx.x; i < C; i += blockDim.x) sum += __bfloat162float(x[i]);
    const float mean = total(sum, s) / C;
    for (int i = threadIdx.x; i < C; i += blockDim.x) { float d = __bfloat162float(x[i]) - mean; squares += d * d; }
    const float scale = rsqrtf(total(squares, s) / C + 1e-5f);
    for (int i = threadIdx.x; i < C; i += blockDim.x)
        out[i] = __float2bfloat16((__bfloat162float(x[i]) - mean) * scale * __bfloat162float(w[i]) + __bfloat162float(b[i]));
}
