# expect calls a library
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="rs", cpp_sources="torch::Tensor rs(torch::Tensor x, double s);", functions=["rs"], cuda_sources="""
#include <torch/extension.h>
__global__ void rs_k(const float* x, float* y, float s, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = fmaxf(x[i], 0) * s; }
torch::Tensor rs(torch::Tensor x, double s) { auto y = torch::empty_like(x); rs_k<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), s, x.numel()); return y; }
""")
class ModelNew(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.linear = nn.Linear(i, o)
        self.s = s
    def forward(self, x):
        return ext.rs(self.linear(x), self.s)
