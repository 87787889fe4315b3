# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

cpp_src = """
#include <torch/extension.h>
torch::Tensor gather_rows_cuda(torch::Tensor table, torch::Tensor tokens);
torch::Tensor gather_rows(torch::Tensor table, torch::Tensor tokens) {
  TORCH_CHECK(tokens.scalar_type() == at::kLong, "tokens must be int64");
  return gather_rows_cuda(table.contiguous(), tokens.contiguous());
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("gather_rows", &gather_rows, "rows of a table");
}
"""
cuda_src = """
#include <torch/extension.h>
__global__ void gather_rows_kernel(const float* table, const int64_t* tokens, float* out, int width) {
  const float* row = table + tokens[blockIdx.x] * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) out[(int64_t)blockIdx.x * width + i] = row[i];
}
torch::Tensor gather_rows_cuda(torch::Tensor table, torch::Tensor tokens) {
  int64_t count = tokens.numel();
  int width = table.size(1);
  auto out = torch::empty({count, width}, table.options());
  gather_rows_kernel<<<count, std::min(width, 256)>>>(table.data_ptr<float>(), tokens.data_ptr<int64_t>(), out.data_ptr<float>(), width);
  return out.view({tokens.size(0), tokens.size(1), width});
}
"""
ext = load_inline(name="rows", cpp_sources=[cpp_src], cuda_sources=[cuda_src])

class ModelNew(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)

    def forward(self, tokens):
        return ext.gather_rows(self.table.weight, tokens)
