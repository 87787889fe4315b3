# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

reduce_src = """
#include <torch/extension.h>
#define FULL_MASK 0xffffffff
template <typename T, unsigned BLOCK>
__global__ void reduce(const T* __restrict__ in, T* __restrict__ out, unsigned n, bool square, T scale) {
    __shared__ T warp[BLOCK / 32];
    T v = T(0);
    for (unsigned i = blockIdx.x * BLOCK + threadIdx.x; i < n; i += BLOCK * gridDim.x) v += square ? in[i] * in[i] : in[i];
    for (int o = 16; o; o >>= 1) v += __shfl_down_sync(FULL_MASK, v, o);
    if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        T t = T(0);
        for (unsigned w = 0; w < BLOCK / 32; ++w) t += warp[w];
        out[blockIdx.x] = t * scale;
    }
}
torch::Tensor mean_of_squares(torch::Tensor x) {
    constexpr unsigned block = 256;
    const unsigned n = (unsigned)x.numel();
    unsigned grid = (n + block - 1) / block;
    grid = grid < 128u ? grid : 128u;
    auto partial = torch::empty({(int64_t)grid}, x.options());
    auto result = torch::empty({1}, x.options());
    reduce<float, block><<<grid, block>>>(x.data_ptr<float>(), partial.data_ptr<float>(), n, true, 1.0f);
    reduce<float, block><<<1, block>>>(partial.data_ptr<float>(), result.data_ptr<float>(), grid, false, 1.0f / float(n));
    return result.reshape({});
}
"""
reduction = load_inline("reduction", "torch::Tensor mean_of_squares(torch::Tensor x);", reduce_src, functions=["mean_of_squares"])

class ModelNew(nn.Module):
    def forward(self, x):
        return reduction.mean_of_squares(x.contiguous())
