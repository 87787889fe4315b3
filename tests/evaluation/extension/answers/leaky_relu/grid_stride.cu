// expect correct
#include <torch/extension.h>
#include <cuda.h>
#include <cuda_runtime.h>
#include <algorithm>

#define CHECK_CUDA(x) TORCH_CHECK(x.device().is_cuda(), #x " must be a CUDA tensor")
#define CHECK_CONTIGUOUS(x) TORCH_CHECK(x.is_contiguous(), #x " must be contiguous")
#define CHECK_INPUT(x) CHECK_CUDA(x); CHECK_CONTIGUOUS(x)

namespace {
constexpr int kThreads = 128;

__device__ __forceinline__ float leaky(float v, float slope) { return v > 0.f ? v : v * slope; }

__global__ void leaky_grid_stride(const float* __restrict__ x, float* __restrict__ y, const float slope, const size_t n) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x)
        y[i] = leaky(x[i], slope);
}
}  // namespace

at::Tensor leaky_relu_forward(at::Tensor input, double slope) {
    CHECK_INPUT(input);
    at::Tensor output = at::empty(input.sizes(), input.options());
    const size_t n = input.numel();
    if (n == 0) return output;
    const int blocks = std::min<int>((n + kThreads - 1) / kThreads, 1024);
    leaky_grid_stride<<<dim3(blocks), dim3(kThreads)>>>(
        input.data_ptr<float>(), output.data_ptr<float>(), static_cast<float>(slope), n);
    AT_CUDA_CHECK(cudaGetLastError());
    return output;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &leaky_relu_forward, "leaky relu (CUDA)", py::arg("input"), py::arg("slope") = 0.1);
}
