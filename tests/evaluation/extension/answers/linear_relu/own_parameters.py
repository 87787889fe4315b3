# expect correct
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.cpp_extension import load_inline

BLOCK = 16
source = """
__global__ void gemm_bias_relu(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
                               float* __restrict__ y, float scale, int m, int n, int k) {
    __shared__ float xs[BLOCK][BLOCK + 1];
    __shared__ float ws[BLOCK][BLOCK + 1];
    int row = blockIdx.y * BLOCK + threadIdx.y;
    int col = blockIdx.x * BLOCK + threadIdx.x;
    float acc = 0.f;
    for (int k0 = 0; k0 < k; k0 += BLOCK) {
        int kk = k0 + threadIdx.x;
        xs[threadIdx.y][threadIdx.x] = (row < m && kk < k) ? x[row * k + kk] : 0.f;
        int wrow = blockIdx.x * BLOCK + threadIdx.y;
        ws[threadIdx.y][threadIdx.x] = (wrow < n && kk < k) ? w[wrow * k + kk] : 0.f;
        __syncthreads();
        for (int i = 0; i < BLOCK; ++i) acc += xs[threadIdx.y][i] * ws[threadIdx.x][i];
        __syncthreads();
    }
    if (row < m && col < n) y[row * n + col] = scale * max(acc + b[col], 0.f);
}
torch::Tensor gemm_bias_relu_forward(torch::Tensor x, torch::Tensor w, torch::Tensor b, float scale) {
    int m = x.size(0), k = x.size(1), n = w.size(0);
    auto y = torch::empty({m, n}, x.options());
    dim3 block(BLOCK, BLOCK);
    dim3 grid(int(std::ceil(n / (float)BLOCK)), int(std::ceil(m / (float)BLOCK)));
    gemm_bias_relu<<<grid, block>>>(x.data_ptr<float>(), w.data_ptr<float>(), b.data_ptr<float>(), y.data_ptr<float>(), scale, m, n, k);
    return y;
}
"""
cuda_source = f"#include <torch/extension.h>\n#define BLOCK {BLOCK}\n" + source
ext = load_inline(
    name="gemm_bias_relu", cpp_sources=["torch::Tensor gemm_bias_relu_forward(torch::Tensor, torch::Tensor, torch::Tensor, float);"],
    cuda_sources=[cuda_source], functions=["gemm_bias_relu_forward"],
)

class ModelNew(nn.Module):
    def __init__(self, in_features: int, out_features: int, scale: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(in_features) if in_features > 0 else 0
        nn.init.uniform_(self.bias, -bound, bound)
        self.register_buffer("unused", torch.ones(1))
        self.scale = scale

    def forward(self, x):
        return ext.gemm_bias_relu_forward(x, self.weight, self.bias, self.scale)
