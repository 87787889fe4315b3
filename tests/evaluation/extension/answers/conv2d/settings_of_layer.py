# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

conv_source = """
#include <torch/extension.h>
#include <cuda_runtime.h>

__global__ void conv2d_kernel(const float* x, const float* w, float* y, int N, int C, int H, int W, int K, int R, int S, int OH, int OW, int stride, int pad) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N * K * OH * OW) return;
    int ow = i % OW, oh = i / OW % OH, k = i / (OW * OH) % K, n = i / (OW * OH * K);
    float acc = 0.f;
    for (int c = 0; c < C; ++c)
        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s) {
                int h = oh * stride - pad + r, ww = ow * stride - pad + s;
                if (h >= 0 && h < H && ww >= 0 && ww < W) acc += x[((n * C + c) * H + h) * W + ww] * w[((k * C + c) * R + r) * S + s];
            }
    y[i] = acc;
}

torch::Tensor conv2d_cuda(torch::Tensor x, torch::Tensor w, int stride, int pad) {
    int N = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3);
    int K = w.size(0), R = w.size(2), S = w.size(3);
    int OH = (H + 2 * pad - R) / stride + 1;
    int OW = (W + 2 * pad - S) / stride + 1;
    auto y = torch::empty({N, K, OH, OW}, x.options());
    int total = N * K * OH * OW;
    const int threads = 256;
    conv2d_kernel<<<(total + threads - 1) / threads, threads>>>(
        x.data_ptr<float>(), w.data_ptr<float>(), y.data_ptr<float>(), N, C, H, W, K, R, S, OH, OW, stride, pad);
    return y;
}
"""
conv = load_inline(name="conv", cpp_sources="torch::Tensor conv2d_cuda(torch::Tensor x, torch::Tensor w, int stride, int pad);",
                   cuda_sources=conv_source, functions=["conv2d_cuda"], verbose=True)

class ModelNew(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super(ModelNew, self).__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)

    def forward(self, x):
        return conv.conv2d_cuda(x, self.conv.weight, self.conv.stride[0], self.conv.padding[0])
