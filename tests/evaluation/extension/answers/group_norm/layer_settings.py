# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

group_norm_cuda = load_inline(
    name="group_norm_cuda",
    cpp_sources="torch::Tensor group_norm_forward(torch::Tensor x, torch::Tensor gamma, torch::Tensor beta, int num_groups, float eps);",
    cuda_sources="""
#include <torch/extension.h>
#include <cuda_runtime.h>
#include <vector>

struct MeanVar {
    float mean;
    float var;
};

__device__ inline MeanVar finish(float sum, float sq, int n) {
    MeanVar r;
    r.mean = sum / n;
    r.var = fmaxf(sq / n - r.mean * r.mean, 0.0f);
    return r;
}

__global__ void gn_kernel(const float* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,
                          float* __restrict__ y, int channels, int num_groups, int spatial, float eps) {
    extern __shared__ float shm[];
    float* sums = shm;
    float* squares = shm + blockDim.x;
    int cpg = channels / num_groups;
    int n = cpg * spatial;
    const float* in = x + (long long)blockIdx.y * channels * spatial + (long long)blockIdx.x * n;
    float* out = y + (long long)blockIdx.y * channels * spatial + (long long)blockIdx.x * n;
    float a = 0, b = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) { float v = in[i]; a += v; b += v * v; }
    sums[threadIdx.x] = a; squares[threadIdx.x] = b;
    __syncthreads();
    for (int s = blockDim.x >> 1; s > 0; s >>= 1) {
        if (threadIdx.x < s) { sums[threadIdx.x] += sums[threadIdx.x + s]; squares[threadIdx.x] += squares[threadIdx.x + s]; }
        __syncthreads();
    }
    MeanVar mv = finish(sums[0], squares[0], n);
    float inv = rsqrtf(mv.var + eps);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        int c = blockIdx.x * cpg + i / spatial;
        out[i] = (in[i] - mv.mean) * inv * gamma[c] + beta[c];
    }
}

torch::Tensor group_norm_forward(torch::Tensor x, torch::Tensor gamma, torch::Tensor beta, int num_groups, float eps) {
    auto batch = x.size(0);
    auto channels = x.size(1);
    int spatial = 1;
    for (int i = 2; i < x.dim(); i++) {
        spatial *= x.size(i);
    }
    auto y = torch::empty_like(x);
    int threads = 128;
    dim3 grid(num_groups, batch);
    size_t shared = 2 * threads * sizeof(float);
    gn_kernel<<<grid, threads, shared>>>(x.data_ptr<float>(), gamma.data_ptr<float>(), beta.data_ptr<float>(), y.data_ptr<float>(),
                                         channels, num_groups, spatial, eps);
    return y;
}
""",
    functions=["group_norm_forward"],
)

class ModelNew(nn.Module):
    def __init__(self, features: int, groups: int):
        super().__init__()
        self.num_groups = groups
        self.gn = nn.GroupNorm(groups, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return group_norm_cuda.group_norm_forward(x, self.gn.weight, self.gn.bias, self.gn.num_groups, self.gn.eps)
