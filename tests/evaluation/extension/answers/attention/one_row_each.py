# expect correct
import math
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

attention_source = r"""
#include <torch/extension.h>
#include <cuda_runtime.h>
#include <math.h>

__global__ void attention_kernel(const float* Q, const float* K, const float* V, float* O, int L, int D, float scale) {
    extern __shared__ float scores[];
    __shared__ float shared_max, shared_sum;
    long base = (long)blockIdx.y * L * D;
    const float* q = Q + base + blockIdx.x * D;
    for (int j = threadIdx.x; j < L; j += blockDim.x) {
        float s = 0.f;
        for (int d = 0; d < D; ++d) s += q[d] * K[base + j * D + d];
        scores[j] = s * scale;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        float m = -INFINITY;
        for (int j = 0; j < L; ++j) m = fmaxf(m, scores[j]);
        float t = 0.f;
        for (int j = 0; j < L; ++j) t += expf(scores[j] - m);
        shared_max = m; shared_sum = t;
    }
    __syncthreads();
    for (int d = threadIdx.x; d < D; d += blockDim.x) {
        float o = 0.f;
        for (int j = 0; j < L; ++j) o += expf(scores[j] - shared_max) * V[base + j * D + d];
        O[base + blockIdx.x * D + d] = o / shared_sum;
    }
}

torch::Tensor attention_forward(torch::Tensor q, torch::Tensor k, torch::Tensor v) {
    const int B = q.size(0), H = q.size(1), L = q.size(2), D = q.size(3);
    auto o = torch::empty_like(q);
    const float scale = 1.0f / sqrtf((float)D);
    dim3 grid(L, B * H);
    attention_kernel<<<grid, 64, L * sizeof(float)>>>(q.data_ptr<float>(), k.data_ptr<float>(), v.data_ptr<float>(), o.data_ptr<float>(), L, D, scale);
    return o;
}
"""
attention = load_inline(name="attention", cpp_sources="torch::Tensor attention_forward(torch::Tensor q, torch::Tensor k, torch::Tensor v);",
                        cuda_sources=attention_source, functions=["attention_forward"])

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = attention

    def forward(self, q, k, v):
        q = q.contiguous(); k = k.contiguous(); v = v.contiguous()
        return self.attention.attention_forward(q, k, v)
