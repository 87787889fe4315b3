// expect correct
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <torch/library.h>
#include <torch/extension.h>

namespace ops {
enum class Mode { Plain, Doubled };
using index_t = int64_t;

template <typename F>
__global__ void binary(const float* a, const float* b, float* c, index_t n, F f) {
    index_t i = blockIdx.x * static_cast<index_t>(blockDim.x) + threadIdx.x;
    if (i < n) c[i] = f(a[i], b[i]);
}

__global__ void add_scaled(const float* a, const float* b, float* c, index_t n, float alpha) {
    index_t i = blockIdx.x * static_cast<index_t>(blockDim.x) + threadIdx.x;
    if (i < n) c[i] = a[i] + alpha * b[i];
}

at::Tensor add_impl(const at::Tensor& a, const at::Tensor& b, float alpha) {
    at::Tensor c = at::empty_like(a);
    const index_t n = c.numel();
    static constexpr int kThreads = 64 * 4;
    const auto blocks = (n - 1) / kThreads + 1;
    auto stream = at::cuda::getCurrentCUDAStream();
    ops::add_scaled<<<blocks, kThreads, 0, stream>>>(a.data_ptr<float>(), b.data_ptr<float>(), c.data_ptr<float>(), n, alpha);
    return c;
}
}  // namespace ops

std::vector<at::Tensor> fused_operator(at::Tensor tensor_0, at::Tensor tensor_1) {
    return std::vector<at::Tensor>{ops::add_impl(tensor_0, tensor_1, 2.f)};
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("fused_operator", &fused_operator); }
