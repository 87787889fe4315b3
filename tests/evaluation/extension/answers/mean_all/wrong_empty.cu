// expect fault
#include <torch/extension.h>
__global__ void mean_kernel(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(out, x[i] * x[i] / n);
}
torch::Tensor mean_square(torch::Tensor x) {
    auto out = torch::empty({1}, x.options());
    int n = x.numel();
    mean_kernel<<<(n + 255) / 256, 256>>>(x.data_ptr<float>(), out.data_ptr<float>(), n);
    return out;
}
