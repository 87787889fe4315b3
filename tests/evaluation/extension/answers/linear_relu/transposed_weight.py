# expect calls a library
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="g", cpp_sources="torch::Tensor g(torch::Tensor x, torch::Tensor w, torch::Tensor b, double s);", functions=["g"], cuda_sources="""
#include <torch/extension.h>
__global__ void k(const float* x, const float* w, const float* b, float* y, float s, int I, int O) {
    for (int o = threadIdx.x; o < O; o += blockDim.x) { float a = b[o]; for (int i = 0; i < I; ++i) a += x[blockIdx.x * I + i] * w[i * O + o]; y[blockIdx.x * O + o] = fmaxf(a, 0) * s; }
}
torch::Tensor g(torch::Tensor x, torch::Tensor w, torch::Tensor b, double s) {
    auto y = torch::empty({x.size(0), w.size(1)}, x.options());
    k<<<x.size(0), 128>>>(x.data_ptr<float>(), w.data_ptr<float>(), b.data_ptr<float>(), y.data_ptr<float>(), s, x.size(1), w.size(1));
    return y;
}
""")
class ModelNew(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.linear, self.s = nn.Linear(i, o), s
    def forward(self, x):
        return ext.g(x, self.linear.weight.t().contiguous(), self.linear.bias, self.s)
