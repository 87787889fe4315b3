# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

layernorm_source = """
#include <torch/extension.h>
#include <cuda_runtime.h>

__global__ void stats(const float* x, float* mean, float* rstd, float eps, int rows, int cols) {
    __shared__ float buf[128];
    int r = blockIdx.x;
    float s = 0.f;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) s += x[r * cols + i];
    buf[threadIdx.x] = s;
    __syncthreads();
    for (int k = 64; k > 0; k /= 2) { if (threadIdx.x < k) buf[threadIdx.x] += buf[threadIdx.x + k]; __syncthreads(); }
    float m = buf[0] / cols;
    __syncthreads();
    float v = 0.f;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) { float d = x[r * cols + i] - m; v += d * d; }
    buf[threadIdx.x] = v;
    __syncthreads();
    for (int k = 64; k > 0; k /= 2) { if (threadIdx.x < k) buf[threadIdx.x] += buf[threadIdx.x + k]; __syncthreads(); }
    if (threadIdx.x == 0) { mean[r] = m; rstd[r] = rsqrtf(buf[0] / cols + eps); }
}
__global__ void normalize(const float* x, const float* mean, const float* rstd, const float* gamma, const float* beta,
                          float* y, long total, int cols) {
    long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
    if (i < total) y[i] = (x[i] - mean[i / cols]) * rstd[i / cols] * gamma[i % cols] + beta[i % cols];
}
torch::Tensor layernorm_cuda(torch::Tensor x, torch::Tensor gamma, torch::Tensor beta, double eps) {
    const int cols = x.size(-1);
    const int rows = x.numel() / cols;
    auto mean = torch::empty({rows}, x.options());
    auto rstd = torch::empty({rows}, x.options());
    auto y = torch::empty_like(x);
    stats<<<rows, 128>>>(x.data_ptr<float>(), mean.data_ptr<float>(), rstd.data_ptr<float>(), static_cast<float>(eps), rows, cols);
    long total = x.numel();
    normalize<<<(total + 255) / 256, 256>>>(x.data_ptr<float>(), mean.data_ptr<float>(), rstd.data_ptr<float>(),
        gamma.data_ptr<float>(), beta.data_ptr<float>(), y.data_ptr<float>(), total, cols);
    return y;
}
"""
ln = load_inline(name="ln", cpp_sources="torch::Tensor layernorm_cuda(torch::Tensor, torch::Tensor, torch::Tensor, double);",
                 cuda_sources=layernorm_source, functions=["layernorm_cuda"])

class ModelNew(nn.Module):
    def __init__(self, normalized_shape):
        super().__init__()
        self.ln = nn.LayerNorm(normalized_shape)

    def forward(self, x):
        return ln.layernorm_cuda(x, self.ln.weight, self.ln.bias, self.ln.eps)
