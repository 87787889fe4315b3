// expect calls a library
#include <torch/extension.h>
__global__ void sum_sq(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(out, x[i] * x[i]);
}
torch::Tensor mean_square(torch::Tensor x) {
    auto out = torch::zeros({1}, x.options());
    sum_sq<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<float>(), out.data_ptr<float>(), x.numel());
    return out / x.numel();
}
