# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

source = r"""
#include <torch/extension.h>
__global__ void linear_relu(const float* x, const float* w, const float* b, float* y, float scale, int B, int I, int O) {
    int o = blockIdx.x * blockDim.x + threadIdx.x;
    int r = blockIdx.y;
    if (o >= O) return;
    float acc = b ? b[o] : 0.f;
    for (int i = 0; i < I; ++i) acc += x[r * I + i] * w[o * I + i];
    y[r * O + o] = fmaxf(acc, 0.f) * scale;
}
torch::Tensor linear_relu_cuda(torch::Tensor x, torch::Tensor weight, torch::optional<torch::Tensor> bias, double scale) {
    TORCH_CHECK(x.is_cuda(), "x must be on the GPU");
    TORCH_CHECK(x.size(1) == weight.size(1), "in_features");
    auto B = x.size(0);
    auto I = x.size(1);
    auto O = weight.size(0);
    auto y = torch::empty({B, O}, x.options());
    const float* bias_ptr = bias.has_value() ? bias.value().data_ptr<float>() : nullptr;
    dim3 grid((O + 127) / 128, B);
    linear_relu<<<grid, 128>>>(x.data_ptr<float>(), weight.data_ptr<float>(), bias_ptr, y.data_ptr<float>(), (float)scale,
                               (int)B, (int)I, (int)O);
    return y;
}
"""
op = load_inline(name="linear_relu", cpp_sources="torch::Tensor linear_relu_cuda(torch::Tensor x, torch::Tensor weight, "
                 "torch::optional<torch::Tensor> bias, double scale);", cuda_sources=source, functions=["linear_relu_cuda"])

class ModelNew(nn.Module):
    def __init__(self, in_features, out_features, scale):
        super(ModelNew, self).__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.scale = scale

    def forward(self, x):
        x = x.cuda().contiguous().float()
        return op.linear_relu_cuda(x, self.linear.weight, self.linear.bias, self.scale)
