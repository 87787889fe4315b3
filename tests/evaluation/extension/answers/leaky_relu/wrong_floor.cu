// expect wrong
#include <torch/extension.h>
__global__ void k(const float* x, float* y, float s, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] > 0 ? x[i] : s * x[i];
}
torch::Tensor forward(torch::Tensor x, float slope) {
    auto y = torch::zeros_like(x);
    int n = x.numel();
    k<<<std::max(1, n / 256), 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), slope, n);
    return y;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("forward", &forward); }
