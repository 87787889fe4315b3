// expect correct
#include <torch/extension.h>
#include <cuda_fp16.h>
template <typename T> __device__ T gelu_tanh(T x) {
    float v = static_cast<float>(x);
    return static_cast<T>(0.5f * v * (1.f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v))));
}
template <typename scalar_t>
__global__ void gelu_kernel(const scalar_t* x, scalar_t* y, size_t n) {
    size_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = gelu_tanh<scalar_t>(x[i]);
}
torch::Tensor gelu(torch::Tensor x) {
    auto y = torch::empty_like(x);
    AT_DISPATCH_FLOATING_TYPES_AND2(at::ScalarType::Half, at::ScalarType::BFloat16, x.scalar_type(), "gelu", [&]() {
        gelu_kernel<scalar_t><<<(x.numel() + 127) / 128, 128>>>(x.data_ptr<scalar_t>(), y.data_ptr<scalar_t>(), x.numel());
    });
    return y;
}
