# expect correct
import torch
from torch.utils.cpp_extension import load_inline

ext = load_inline(name="cat", cpp_sources=["std::vector<torch::Tensor> run(std::vector<torch::Tensor> xs);"], functions=["run"], cuda_sources=["""
#include <torch/extension.h>
__global__ void gate(const float* a, const float* c, float* top, float* sum, int la, int w, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { top[i / la * w + i % la] = a[i] * (1.f / (1.f + __expf(-c[i]))); sum[i] = a[i] + c[i]; }
}
__global__ void put(const float* b, float* top, int lb, int offset, int w, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) top[i / lb * w + offset + i % lb] = b[i];
}
std::vector<torch::Tensor> run(std::vector<torch::Tensor> xs) {
    auto a = xs[0], b = xs[1], c = xs[2];
    const int w = a.size(1) + b.size(1);
    auto top = torch::empty({a.size(0), w}, a.options());
    auto sum = torch::empty(a.sizes(), a.options());
    gate<<<(a.numel() + 127) / 128, 128>>>(a.data_ptr<float>(), c.data_ptr<float>(), top.data_ptr<float>(), sum.data_ptr<float>(), a.size(1), w, a.numel());
    put<<<(b.numel() + 127) / 128, 128>>>(b.data_ptr<float>(), top.data_ptr<float>(), b.size(1), a.size(1), w, b.numel());
    return {top, sum};
}
"""])

def fused_operator(a, b, c):
    outputs = ext.run([a, b, c])
    return outputs
