// expect fault
#include <torch/extension.h>
__global__ void k(const float* x, float* y, float s) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] > 0 ? x[i] : s * x[i];
}
torch::Tensor forward(torch::Tensor x, float slope) {
    auto y = torch::empty_like(x);
    int n = x.numel();
    k<<<(n + 255) / 256, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), slope);
    return y;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("forward", &forward); }
