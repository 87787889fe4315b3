# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

cumsum_cuda_src = """
#include <torch/extension.h>
#include <cuda_runtime.h>
__global__ void cumsum_rows(const float* x, float* y, int64_t outer, int64_t len, int64_t inner) {
    int64_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * inner) return;
    int64_t base = i / inner * len * inner + i % inner;
    float s = 0;
    for (int64_t j = 0; j < len; ++j) { s += x[base + j * inner]; y[base + j * inner] = s; }
}
torch::Tensor cumsum_cuda(torch::Tensor x, int dim) {
    x = x.contiguous();
    if (dim < 0) {
        dim += x.dim();
    }
    int64_t outer = 1, inner = 1;
    for (int d = 0; d < dim; ++d) outer *= x.size(d);
    for (int d = dim + 1; d < x.dim(); ++d) inner *= x.size(d);
    auto y = torch::empty_like(x);
    int64_t lines = outer * inner;
    cumsum_rows<<<(lines + 63) / 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), outer, x.size(dim), inner);
    return y;
}
"""
cumsum = load_inline(name="cumsum", cpp_sources="torch::Tensor cumsum_cuda(torch::Tensor x, int dim);", cuda_sources=cumsum_cuda_src, functions=["cumsum_cuda"])

class ModelNew(nn.Module):
    def __init__(self, dim):
        super(ModelNew, self).__init__()
        self.dim = dim
        self.cumsum = cumsum

    def forward(self, x):
        return self.cumsum.cumsum_cuda(x, self.dim)
