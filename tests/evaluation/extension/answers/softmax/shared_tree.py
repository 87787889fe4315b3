# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

softmax_src = """
#include <torch/extension.h>
#include <cuda_runtime.h>
#include <cfloat>

__global__ void softmax_kernel(const float* __restrict__ input, float* __restrict__ output, int cols) {
    extern __shared__ float sdata[];
    const float* row = input + blockIdx.x * cols;
    float* out = output + blockIdx.x * cols;
    int tid = threadIdx.x;
    float m = -FLT_MAX;
    for (int i = tid; i < cols; i += blockDim.x) m = fmaxf(m, row[i]);
    sdata[tid] = m;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] = fmaxf(sdata[tid], sdata[tid + s]);
        __syncthreads();
    }
    m = sdata[0];
    __syncthreads();
    float sum = 0.f;
    for (int i = tid; i < cols; i += blockDim.x) sum += expf(row[i] - m);
    sdata[tid] = sum;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    float inv = 1.f / sdata[0];
    for (int i = tid; i < cols; i += blockDim.x) out[i] = expf(row[i] - m) * inv;
}

torch::Tensor softmax_cuda(torch::Tensor input) {
    auto output = torch::empty_like(input);
    const int rows = input.size(0), cols = input.size(1);
    int threads = 1;
    while (threads < cols && threads < 1024) {
        threads *= 2;
    }
    softmax_kernel<<<rows, threads, threads * sizeof(float)>>>(input.data_ptr<float>(), output.data_ptr<float>(), cols);
    return output;
}
"""

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self._op = load_inline(name="softmax_op", cpp_sources="torch::Tensor softmax_cuda(torch::Tensor input);",
                               cuda_sources=softmax_src, functions=["softmax_cuda"])

    def forward(self, x):
        return self._op.softmax_cuda(x)
