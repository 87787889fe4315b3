// expect wrong
#include <torch/extension.h>
__global__ void axpy(const float* a, const float* b, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = a[i] + 2.0f * b[i];
}
torch::Tensor fused_operator(torch::Tensor a, torch::Tensor b) {
    auto out = torch::empty_like(a);
    int n = a.numel();
    axpy<<<(n + 255) / 256, 256>>>(b.data_ptr<float>(), a.data_ptr<float>(), out.data_ptr<float>(), n);
    return out;
}
