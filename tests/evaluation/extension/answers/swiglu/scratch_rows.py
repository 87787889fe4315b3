# expect correct
import torch
from torch.utils.cpp_extension import load_inline

_src = """
#include <torch/extension.h>
__global__ void step1(const float* g, const float* u, float* h, float* ss, int cols, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { float v = g[i] / (1.f + __expf(-g[i])) * u[i]; h[i] = v; atomicAdd(ss + i / cols, v * v); }
}
__global__ void step2(const float* h, const float* ss, const float* w, float* out, int cols, float inv_cols, float eps, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = h[i] * rsqrtf(ss[i / cols] * inv_cols + eps) * w[i % cols];
}
torch::Tensor run(torch::Tensor g, torch::Tensor u, torch::Tensor w, double eps) {
    auto h = torch::empty_like(g);
    auto ss = torch::empty({g.size(0)}, g.options());
    ss.zero_();
    auto out = torch::empty_like(g);
    const int n = g.numel(), cols = g.size(1);
    const float inv = 1.0 / cols;
    const dim3 block(256), grid((n + block.x - 1) / block.x);
    step1<<<grid, block>>>(g.data_ptr<float>(), u.data_ptr<float>(), h.data_ptr<float>(), ss.data_ptr<float>(), cols, n);
    step2<<<grid, block>>>(h.data_ptr<float>(), ss.data_ptr<float>(), w.data_ptr<float>(), out.data_ptr<float>(), cols, inv, (float)eps, n);
    return out;
}
"""
_mod = load_inline(name="swiglu", cpp_sources="torch::Tensor run(torch::Tensor g, torch::Tensor u, torch::Tensor w, double eps);", cuda_sources=_src, functions=["run"])
EPS = 1e-6

def fused_operator(gate, up, weight):
    gate, up = gate.contiguous(), up.contiguous()
    if gate.dtype != torch.float32:
        raise ValueError("float32 expected")
    return _mod.run(gate, up, weight, EPS)
