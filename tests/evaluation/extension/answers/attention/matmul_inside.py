# expect calls a library
import math
import torch
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="sm", cpp_sources="torch::Tensor sm(torch::Tensor x);", functions=["sm"], cuda_sources="""
#include <torch/extension.h>
__global__ void sm_k(const float* x, float* y, int n) {
    const float* r = x + (size_t)blockIdx.x * n; float m = -1e30f, s = 0;
    for (int i = 0; i < n; ++i) m = fmaxf(m, r[i]);
    for (int i = 0; i < n; ++i) s += expf(r[i] - m);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[(size_t)blockIdx.x * n + i] = expf(r[i] - m) / s;
}
torch::Tensor sm(torch::Tensor x) { auto y = torch::empty_like(x); int n = x.size(-1); sm_k<<<x.numel() / n, 32>>>(x.data_ptr<float>(), y.data_ptr<float>(), n); return y; }
""")
def fused_operator(q, k, v):
    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
    return torch.matmul(ext.sm(scores), v)
