# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

gemm = load_inline(
    name="gemm_only",
    cpp_sources="torch::Tensor gemm_nt(torch::Tensor a, torch::Tensor b);",
    cuda_sources="""
#include <torch/extension.h>
__global__ void gemm_nt_kernel(const float* a, const float* b, float* c, int m, int n, int k) {
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx >= m * n) return;
    int i = idx / n, j = idx % n;
    float s = 0;
    for (int p = 0; p < k; ++p) s += a[i * k + p] * b[j * k + p];
    c[idx] = s;
}
torch::Tensor gemm_nt(torch::Tensor a, torch::Tensor b) {
    auto c = a.new_empty({a.size(0), b.size(0)});
    int total = c.numel();
    gemm_nt_kernel<<<(total + 127) / 128, 128>>>(a.data_ptr<float>(), b.data_ptr<float>(), c.data_ptr<float>(), a.size(0), b.size(0), a.size(1));
    return c;
}
""",
    functions=["gemm_nt"],
)
bias_relu = load_inline(
    name="bias_relu_scale",
    cpp_sources="torch::Tensor bias_relu_scale(torch::Tensor x, torch::Tensor bias, double scale);",
    cuda_sources="""
#include <torch/extension.h>
__global__ void bias_relu_scale_kernel(float* x, const float* bias, float scale, int n, int size) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += blockDim.x * gridDim.x) {
        float v = x[i] + bias[i % n];
        x[i] = v > 0.f ? v * scale : 0.f;
    }
}
torch::Tensor bias_relu_scale(torch::Tensor x, torch::Tensor bias, double scale) {
    bias_relu_scale_kernel<<<32, 256>>>(x.data_ptr<float>(), bias.data_ptr<float>(), scale, bias.numel(), x.numel());
    return x;
}
""",
    functions=["bias_relu_scale"],
)

class ModelNew(nn.Module):
    def __init__(self, in_features, out_features, scale):
        super().__init__()
        self.fc = nn.Linear(in_features, out_features, bias=True)
        self.scale = scale
        self.gemm, self.epilogue = gemm, bias_relu

    def _linear(self, x):
        return self.gemm.gemm_nt(x, self.fc.weight)

    def forward(self, x):
        y = self._linear(x.view(x.size(0), -1))
        return self.epilogue.bias_relu_scale(y, self.fc.bias, scale=self.scale)
