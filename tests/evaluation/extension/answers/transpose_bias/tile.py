# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

TRANSPOSE = """
#include <torch/extension.h>
#include <c10/cuda/CUDAException.h>
namespace {
constexpr int TILE = 32, ROWS = 8;
__global__ void transpose_add(const float* __restrict__ x, const float* __restrict__ bias, float* __restrict__ y, int L, int C) {
    __shared__ float tile[TILE][TILE + 1];
    const float* in = x + (size_t)blockIdx.z * L * C;
    float* out = y + (size_t)blockIdx.z * L * C;
    int c = blockIdx.x * TILE + threadIdx.x;
    for (int j = threadIdx.y; j < TILE; j += ROWS) {
        int l = blockIdx.y * TILE + j;
        if (l < L && c < C) tile[j][threadIdx.x] = in[l * C + c];
    }
    __syncthreads();
    int l = blockIdx.y * TILE + threadIdx.x;
    for (int j = threadIdx.y; j < TILE; j += ROWS) {
        int cc = blockIdx.x * TILE + j;
        if (l < L && cc < C) out[cc * L + l] = tile[threadIdx.x][j] + bias[cc];
    }
}
}
torch::Tensor transpose_add_forward(torch::Tensor x, torch::Tensor bias) {
    TORCH_CHECK(bias.numel() == x.size(2), "bias must have ", x.size(2), " elements");
    const int64_t B = x.size(0);
    const int64_t L = x.size(1);
    const int64_t C = x.size(2);
    torch::Tensor y = torch::empty({B, C, L}, x.options());
    const dim3 grid(static_cast<unsigned int>((C + TILE - 1) / TILE), static_cast<unsigned int>((L + TILE - 1) / TILE), static_cast<unsigned int>(B));
    transpose_add<<<grid, dim3(TILE, ROWS)>>>(x.data_ptr<float>(), bias.data_ptr<float>(), y.data_ptr<float>(), static_cast<int>(L), static_cast<int>(C));
    C10_CUDA_CHECK(cudaGetLastError());
    return y;
}
"""
module = load_inline(name="transpose_add", cpp_sources="torch::Tensor transpose_add_forward(torch::Tensor x, torch::Tensor bias);",
                     cuda_sources=TRANSPOSE, functions=["transpose_add_forward"], extra_cuda_cflags=["-O3", "--use_fast_math"])

class ModelNew(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(channels, 1))

    def forward(self, x):
        return module.transpose_add_forward(x.contiguous(), self.bias.view(-1))
