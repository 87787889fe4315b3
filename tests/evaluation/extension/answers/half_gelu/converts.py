# expect calls a library
import torch
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="g", cpp_sources="torch::Tensor g(torch::Tensor x);", functions=["g"], cuda_sources="""
#include <torch/extension.h>
__global__ void k(const float* x, float* y, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) { float v = x[i]; y[i] = 0.5f * v * (1.f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v))); } }
torch::Tensor g(torch::Tensor x) { auto y = torch::empty_like(x); k<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), x.numel()); return y; }
""")
def fused_operator(x):
    return ext.g(x.float()).half()
