# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

src = """
#include <torch/extension.h>
__global__ void conv_smem(const float* x, const float* w, float* y, int C, int H, int W, int R, int OH, int OW, int st, int pd) {
    extern __shared__ float filter[];
    int k = blockIdx.y, n = blockIdx.z, K = gridDim.y;
    for (int i = threadIdx.x; i < C * R * R; i += blockDim.x) filter[i] = w[k * C * R * R + i];
    __syncthreads();
    int p = blockIdx.x * blockDim.x + threadIdx.x;
    if (p < OH * OW) {
        int oh = p / OW, ow = p % OW;
        float a = 0;
        for (int c = 0; c < C; ++c) for (int r = 0; r < R; ++r) for (int s = 0; s < R; ++s) {
            int h = oh * st - pd + r, v = ow * st - pd + s;
            if ((unsigned)h < (unsigned)H && (unsigned)v < (unsigned)W) a += x[((n * C + c) * H + h) * W + v] * filter[(c * R + r) * R + s];
        }
        y[((size_t)(n * K + k) * OH) * OW + p] = a;
    }
}
torch::Tensor conv_forward(torch::Tensor x, torch::Tensor weight, std::vector<int64_t> stride, std::vector<int64_t> padding) {
    auto xs = x.sizes();
    auto ws = weight.sizes();
    const int R = ws[2];
    const int OH = (xs[2] + 2 * padding[0] - R) / stride[0] + 1, OW = (xs[3] + 2 * padding[1] - R) / stride[1] + 1;
    auto y = x.new_empty({xs[0], ws[0], OH, OW});
    size_t smem = xs[1] * R * R * sizeof(float);
    cudaFuncSetAttribute(conv_smem, cudaFuncAttributeMaxDynamicSharedMemorySize, smem);
    conv_smem<<<dim3((OH * OW + 127) / 128, ws[0], xs[0]), 128, smem>>>(x.data_ptr<float>(), weight.data_ptr<float>(), y.data_ptr<float>(),
        xs[1], xs[2], xs[3], R, OH, OW, stride[0], padding[0]);
    return y;
}
"""
m = load_inline(name="c", cpp_sources="torch::Tensor conv_forward(torch::Tensor, torch::Tensor, std::vector<int64_t>, std::vector<int64_t>);",
                cuda_sources=src, functions=["conv_forward"])

class ModelNew(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding):
        super().__init__()
        k = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *k))
        self.stride = [stride, stride]
        self.padding = [padding] * 2 if False else [padding, padding]

    def forward(self, x):
        return m.conv_forward(x, self.weight, self.stride, self.padding)
