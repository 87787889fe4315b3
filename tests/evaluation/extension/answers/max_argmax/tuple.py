# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

module = load_inline(name="rowmax", cpp_sources="std::tuple<torch::Tensor, torch::Tensor> row_max(torch::Tensor x);", functions=["row_max"], cuda_sources='''
#include <torch/extension.h>
#include <tuple>
__global__ void row_max_block(const float* x, float* v, long long* idx, int cols) {
    __shared__ float bv[64];
    __shared__ int bi[64];
    float best = -INFINITY; int at = cols;
    for (int c = threadIdx.x; c < cols; c += 64) { float f = x[(size_t)blockIdx.x * cols + c]; if (f > best) { best = f; at = c; } }
    bv[threadIdx.x] = best; bi[threadIdx.x] = at;
    __syncthreads();
    for (int s = 32; s; s >>= 1) {
        if (threadIdx.x < s) {
            float o = bv[threadIdx.x + s]; int oi = bi[threadIdx.x + s];
            if (o > bv[threadIdx.x] || (o == bv[threadIdx.x] && oi < bi[threadIdx.x])) { bv[threadIdx.x] = o; bi[threadIdx.x] = oi; }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) { v[blockIdx.x] = bv[0]; idx[blockIdx.x] = bi[0]; }
}
std::tuple<torch::Tensor, torch::Tensor> row_max(torch::Tensor x) {
    auto v = torch::empty(x.size(0), x.options());
    auto idx = torch::empty({x.size(0)}, torch::dtype(torch::kInt64).device(x.device()));
    row_max_block<<<x.size(0), 64>>>(x.data_ptr<float>(), v.data_ptr<float>(), reinterpret_cast<long long*>(idx.data_ptr<int64_t>()), x.size(1));
    return std::make_tuple(v, idx);
}
''')

class ModelNew(nn.Module):
    def forward(self, x):
        values, indices = module.row_max(x)
        return values, indices
