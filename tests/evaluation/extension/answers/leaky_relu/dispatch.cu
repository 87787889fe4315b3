// expect correct
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <vector>

template <typename scalar_t>
__global__ void leaky_relu_kernel(const scalar_t* __restrict__ in, scalar_t* __restrict__ out, scalar_t slope, int64_t size) {
    const int64_t idx = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
    if (idx < size) {
        const scalar_t v = in[idx];
        out[idx] = v >= scalar_t(0) ? v : slope * v;
    }
}

torch::Tensor leaky_relu(const torch::Tensor& in, float slope) {
    const at::cuda::OptionalCUDAGuard device_guard(device_of(in));
    auto out = torch::empty_like(in);
    const auto size = in.numel();
    const dim3 block(512);
    const dim3 grid((size + block.x - 1) / block.x);
    cudaStream_t stream = at::cuda::getCurrentCUDAStream();
    AT_DISPATCH_FLOATING_TYPES(in.scalar_type(), "leaky_relu", ([&] {
        leaky_relu_kernel<scalar_t><<<grid, block, 0, stream>>>(
            in.data_ptr<scalar_t>(), out.data_ptr<scalar_t>(), static_cast<scalar_t>(slope), size);
    }));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return out;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("leaky_relu", &leaky_relu); }
