// expect correct
#include <torch/extension.h>
#include <cuda_fp16.h>
#include <ATen/cuda/CUDAContext.h>
__global__ void gelu_half(const half* x, half* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float v = __half2float(x[i]);
        y[i] = __float2half(0.5f * v * (1.f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v))));
    }
}
torch::Tensor gelu(torch::Tensor x) {
    TORCH_CHECK(x.scalar_type() == torch::kHalf, "half expected");
    auto y = torch::empty_like(x);
    const int n = static_cast<int>(x.numel());
    gelu_half<<<(n + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        reinterpret_cast<const half*>(x.data_ptr<at::Half>()), reinterpret_cast<half*>(y.data_ptr<at::Half>()), n);
    return y;
}
