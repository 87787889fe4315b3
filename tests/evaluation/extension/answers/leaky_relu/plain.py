# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

source = """
#include <torch/extension.h>
#include <cuda_runtime.h>

__global__ void leaky_kernel(const float* x, float* out, float slope, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] > 0 ? x[i] : slope * x[i];
}

torch::Tensor leaky_cuda(torch::Tensor x, float slope) {
    auto out = torch::empty_like(x);
    int n = x.numel();
    const int threads = 256;
    const int blocks = (n + threads - 1) / threads;
    leaky_kernel<<<blocks, threads>>>(x.data_ptr<float>(), out.data_ptr<float>(), slope, n);
    return out;
}
"""
cpp = "torch::Tensor leaky_cuda(torch::Tensor x, float slope);"
ext = load_inline(name="leaky", cpp_sources=cpp, cuda_sources=source, functions=["leaky_cuda"], verbose=True)

class ModelNew(nn.Module):
    def __init__(self, slope):
        super(ModelNew, self).__init__()
        self.slope = slope
        self.ext = ext

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ext.leaky_cuda(x.contiguous(), self.slope)
