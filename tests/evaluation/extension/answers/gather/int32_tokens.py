# expect calls a library
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
ext = load_inline(name="e", cpp_sources="torch::Tensor rows(torch::Tensor t, torch::Tensor w);", functions=["rows"], cuda_sources="""
#include <torch/extension.h>
__global__ void rows_k(const int* t, const float* w, float* o, int d) { for (int i = threadIdx.x; i < d; i += blockDim.x) o[blockIdx.x * d + i] = w[t[blockIdx.x] * d + i]; }
torch::Tensor rows(torch::Tensor t, torch::Tensor w) {
    auto o = torch::empty({t.size(0), t.size(1), w.size(1)}, w.options());
    rows_k<<<t.numel(), 32>>>(t.data_ptr<int>(), w.data_ptr<float>(), o.data_ptr<float>(), w.size(1));
    return o;
}
""")
class ModelNew(nn.Module):
    def __init__(self, v, d):
        super().__init__()
        self.table = nn.Embedding(v, d)
    def forward(self, tokens):
        return ext.rows(tokens.to(torch.int32), self.table.weight)
