// expect correct
#include <cuda_runtime.h>
#include <torch/extension.h>

template <int ALPHA>
__global__ void axpy(float* __restrict__ out, const float* __restrict__ a, const float* __restrict__ b, long long n) {
    long long i = 1LL * blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = fmaf((float)ALPHA, b[i], a[i]);
}

extern "C" void launch_axpy(float* out, const float* a, const float* b, long long n, cudaStream_t stream = 0) {
    const unsigned block = 192;
    const unsigned grid = static_cast<unsigned>((n + block - 1) / block);
    axpy<2><<<grid, block, 0, stream>>>(out, a, b, n);
}

torch::Tensor fused_operator(torch::Tensor a, torch::Tensor b) {
    torch::Tensor ac = a.contiguous(), bc = b.contiguous();
    torch::Tensor out = torch::zeros(ac.sizes(), torch::dtype(torch::kFloat).device(torch::kCUDA));
    launch_axpy(out.data_ptr<float>(), ac.data_ptr<float>(), bc.data_ptr<float>(), out.numel());
    return out;
}
