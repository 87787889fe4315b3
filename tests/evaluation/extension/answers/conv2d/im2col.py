# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

_ext = load_inline(
    name="im2col_conv",
    cpp_sources="at::Tensor conv_im2col(at::Tensor input, at::Tensor weight, int64_t stride, int64_t padding);",
    cuda_sources=r"""
#include <torch/extension.h>
#include <cuda_runtime.h>
#define CUDA_1D_KERNEL_LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)
const int CUDA_NUM_THREADS = 256;
inline int GET_BLOCKS(const int N) { return std::min((N + CUDA_NUM_THREADS - 1) / CUDA_NUM_THREADS, 4096); }

__global__ void im2col(const int n, const float* data, const int channels, const int height, const int width, const int kh, const int kw,
                       const int pad, const int stride, const int oh, const int ow, float* col) {
    CUDA_1D_KERNEL_LOOP(index, n) {
        const int w_out = index % ow, h_out = index / ow % oh;
        const int q = index / (ow * oh);
        const int j = q % kw, i = q / kw % kh, c = q / (kw * kh) % channels, b = q / (kw * kh * channels);
        const int h = h_out * stride - pad + i, w = w_out * stride - pad + j;
        col[index] = (h >= 0 && w >= 0 && h < height && w < width) ? data[((b * channels + c) * height + h) * width + w] : 0.f;
    }
}
__global__ void gemm_batched(const int n, const float* weight, const float* col, float* out, const int K, const int depth, const int pixels) {
    CUDA_1D_KERNEL_LOOP(index, n) {
        const int p = index % pixels, k = index / pixels % K, b = index / (pixels * K);
        float acc = 0.f;
        for (int d = 0; d < depth; ++d) acc += weight[k * depth + d] * col[((size_t)b * depth + d) * pixels + p];
        out[index] = acc;
    }
}
at::Tensor conv_im2col(at::Tensor input, at::Tensor weight, int64_t stride, int64_t padding) {
    const int batch = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
    const int K = weight.size(0), kh = weight.size(2), kw = weight.size(3);
    const int oh = (height + 2 * padding - kh) / stride + 1;
    const int ow = (width + 2 * padding - kw) / stride + 1;
    at::Tensor col = at::empty({batch, channels * kh * kw, oh * ow}, input.options());
    at::Tensor out = at::empty({batch, K, oh, ow}, input.options());
    const int n_col = col.numel(), n_out = out.numel();
    im2col<<<GET_BLOCKS(n_col), CUDA_NUM_THREADS>>>(n_col, input.data_ptr<float>(), channels, height, width, kh, kw, padding, stride, oh, ow, col.data_ptr<float>());
    gemm_batched<<<GET_BLOCKS(n_out), CUDA_NUM_THREADS>>>(n_out, weight.data_ptr<float>(), col.data_ptr<float>(), out.data_ptr<float>(), K, channels * kh * kw, oh * ow);
    return out;
}
""",
    functions=["conv_im2col"],
)

class ModelNew(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        reference = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)
        self.weight = reference.weight
        self.stride = stride
        self.padding = padding

    def forward(self, x):
        return _ext.conv_im2col(x, self.weight, self.stride, self.padding)
