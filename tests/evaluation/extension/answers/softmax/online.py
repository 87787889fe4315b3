# expect correct
import torch
import torch.nn as nn
import torch.utils.cpp_extension as cpp

CUDA_SRC = """
#include <torch/extension.h>
#include <cuda_runtime.h>
struct __align__(8) MD { float m; float d; };
__device__ __forceinline__ MD combine(MD a, MD b) {
    bool bigger = a.m > b.m;
    MD hi = bigger ? a : b, lo = bigger ? b : a;
    MD r; r.m = hi.m; r.d = hi.d + lo.d * __expf(lo.m - hi.m);
    return r;
}
template <int THREADS>
__global__ void __launch_bounds__(THREADS) online_softmax(const float* __restrict__ x, float* __restrict__ y, const int n) {
    const float* in = x + (size_t)blockIdx.x * n;
    MD p; p.m = -FLT_MAX; p.d = 0.f;
    for (int i = threadIdx.x; i < n; i += THREADS) { MD q; q.m = in[i]; q.d = 1.f; p = combine(p, q); }
    __shared__ MD all[THREADS];
    all[threadIdx.x] = p;
    __syncthreads();
    for (int s = THREADS / 2; s >= 1; s /= 2) {
        if (threadIdx.x < s) all[threadIdx.x] = combine(all[threadIdx.x], all[threadIdx.x + s]);
        __syncthreads();
    }
    const MD t = all[0];
    for (int i = threadIdx.x; i < n; i += THREADS) y[(size_t)blockIdx.x * n + i] = __expf(in[i] - t.m) / t.d;
}
torch::Tensor online_softmax_cuda(torch::Tensor x) {
    const auto rows = x.size(0);
    const auto n = x.size(1);
    auto y = torch::empty_like(x);
    if (n <= 64) {
        online_softmax<64><<<rows, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), n);
    } else if (n <= 1024) {
        online_softmax<128><<<rows, 128>>>(x.data_ptr<float>(), y.data_ptr<float>(), n);
    } else {
        online_softmax<256><<<rows, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), n);
    }
    return y;
}
"""

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.softmax = cpp.load_inline(name="online_softmax", cpp_sources="torch::Tensor online_softmax_cuda(torch::Tensor x);",
                                       cuda_sources=CUDA_SRC, functions=["online_softmax_cuda"], extra_cuda_cflags=["-O3"]).online_softmax_cuda

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.softmax(x)
