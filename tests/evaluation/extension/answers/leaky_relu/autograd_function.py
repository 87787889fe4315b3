# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

leaky_cpp = "at::Tensor leaky_fwd(const at::Tensor& x, const float slope);"
leaky_cuda = """
#include <ATen/ATen.h>
#include <torch/types.h>
#define THREADS 256
#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
__global__ void leaky_fwd_kernel(const float *x, float *y, const float slope, const int n) {
    const int i = THREADS * blockIdx.x + threadIdx.x;
    if (i < n) { y[i] = x[i] < 0.f ? slope * x[i] : x[i]; }
}
at::Tensor leaky_fwd(const at::Tensor& x, const float slope) {
    auto y = at::zeros_like(x);
    leaky_fwd_kernel<<<CEIL_DIV(x.numel(), THREADS), THREADS>>>(x.data_ptr<float>(), y.data_ptr<float>(), slope, x.numel());
    cudaDeviceSynchronize();
    return y;
}
"""
leaky = load_inline(name="leaky_fn", cpp_sources=leaky_cpp, cuda_sources=leaky_cuda, functions=["leaky_fwd"])

class LeakyFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return leaky.leaky_fwd(x.contiguous(), slope)

class ModelNew(nn.Module):
    def __init__(self, slope: float):
        super(ModelNew, self).__init__()
        self.slope = float(slope)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return LeakyFunction.apply(x, self.slope)
