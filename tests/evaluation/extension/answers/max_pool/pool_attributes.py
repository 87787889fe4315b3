# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

ext = load_inline(name="pool", functions=["max_pool"], cpp_sources="torch::Tensor max_pool(torch::Tensor x, int k, int s, int p);", cuda_sources=r"""
#include <torch/extension.h>
#include <math_constants.h>
__global__ void pool_kernel(const float* in, float* out, int planes, int h, int w, int oh, int ow, int k, int s, int p) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y, plane = blockIdx.z;
    if (x >= ow || y >= oh) return;
    float best = -CUDART_INF_F;
    for (int i = 0; i < k; ++i) for (int j = 0; j < k; ++j) {
        int r = y * s - p + i, c = x * s - p + j;
        if (r >= 0 && r < h && c >= 0 && c < w) best = fmaxf(best, in[(plane * h + r) * w + c]);
    }
    out[(plane * oh + y) * ow + x] = best;
}
torch::Tensor max_pool(torch::Tensor x, int k, int s, int p) {
    const int N = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3);
    const int OH = (H + 2 * p - k) / s + 1;
    const int OW = (W + 2 * p - k) / s + 1;
    auto out = torch::empty({N, C, OH, OW}, x.options());
    dim3 threads(16, 16);
    dim3 blocks((OW + threads.x - 1) / threads.x, (OH + threads.y - 1) / threads.y, N * C);
    pool_kernel<<<blocks, threads>>>(x.data_ptr<float>(), out.data_ptr<float>(), N * C, H, W, OH, OW, k, s, p);
    return out;
}
""")

class ModelNew(nn.Module):
    def __init__(self, kernel_size, stride, padding):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding

    def forward(self, x):
        assert x.dim() == 4
        return ext.max_pool(x, self.kernel_size, self.stride, self.padding)
