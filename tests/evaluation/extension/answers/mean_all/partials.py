# expect correct
import torch
from torch.utils.cpp_extension import load_inline

cuda = r"""
#include <torch/extension.h>
const int kBlock = 256;
__global__ void partial_sums(const float* x, float* partial, long n) {
    __shared__ float s[kBlock];
    float v = 0;
    for (long i = blockIdx.x * (long)kBlock + threadIdx.x; i < n; i += (long)gridDim.x * kBlock) v += x[i] * x[i];
    s[threadIdx.x] = v;
    __syncthreads();
    for (int k = kBlock / 2; k; k >>= 1) { if (threadIdx.x < k) s[threadIdx.x] += s[threadIdx.x + k]; __syncthreads(); }
    if (!threadIdx.x) partial[blockIdx.x] = s[0];
}
__global__ void finish(const float* partial, float* out, int count, float scale) {
    float v = 0;
    for (int i = 0; i < count; ++i) v += partial[i];
    *out = v * scale;
}
torch::Tensor mean_square(const torch::Tensor& x) {
    long n = x.numel();
    int blocks = (int)std::min((n + kBlock - 1) / kBlock, 64L);
    auto partial = torch::empty({blocks}, x.options());
    auto out = torch::empty({}, x.options());
    partial_sums<<<blocks, kBlock>>>(x.data_ptr<float>(), partial.data_ptr<float>(), n);
    finish<<<1, 1>>>(partial.data_ptr<float>(), out.data_ptr<float>(), blocks, 1.0f / n);
    return out;
}
"""
mod = load_inline("mean_square", cpp_sources="torch::Tensor mean_square(const torch::Tensor& x);", cuda_sources=cuda, functions="mean_square")

def fused_operator(x):
    return mod.mean_square(x)
