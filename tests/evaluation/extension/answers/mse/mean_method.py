# expect calls a library
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="sq", cpp_sources="torch::Tensor sq(torch::Tensor p, torch::Tensor t);", functions=["sq"], cuda_sources="""
#include <torch/extension.h>
__global__ void sq_k(const float* p, const float* t, float* o, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = (p[i] - t[i]) * (p[i] - t[i]); }
torch::Tensor sq(torch::Tensor p, torch::Tensor t) { auto o = torch::empty_like(p); sq_k<<<(p.numel() + 255) / 256, 256>>>(p.data_ptr<float>(), t.data_ptr<float>(), o.data_ptr<float>(), p.numel()); return o; }
""")
class ModelNew(nn.Module):
    def forward(self, p, t):
        return ext.sq(p, t).mean()
