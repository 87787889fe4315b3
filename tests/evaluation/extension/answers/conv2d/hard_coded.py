# expect fault
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
src = """
#include <torch/extension.h>

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
torch::Tensor conv2d_cuda(torch::Tensor x, torch::Tensor w) {
    int N = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3), K = w.size(0);
    int OH = (H + 2 - 3) / 2 + 1, OW = (W + 2 - 3) / 2 + 1;
    auto y = torch::zeros({N, K, OH, OW}, x.options());
    int total = 4 * 16 * 20 * 18;
    conv2d_kernel<<<(total + 255) / 256, 256>>>(x.data_ptr<float>(), w.data_ptr<float>(), y.data_ptr<float>(), N, 3, 40, 36, 16, 3, 3, 20, 18, 2, 1);
    return y;
}
"""
conv = load_inline(name="conv", cpp_sources="torch::Tensor conv2d_cuda(torch::Tensor x, torch::Tensor w);", cuda_sources=src, functions=["conv2d_cuda"])
class ModelNew(nn.Module):
    def __init__(self, *args):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
    def forward(self, x):
        return conv.conv2d_cuda(x, self.conv.weight)
