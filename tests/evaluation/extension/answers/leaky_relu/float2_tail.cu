// expect correct
#include <torch/extension.h>
#include <cstdint>
__global__ void leaky2(const float* __restrict__ x, float* __restrict__ y, float s, int n) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 1 < n) {
        float2 v = *reinterpret_cast<const float2*>(x + i);
        v.x = v.x >= 0 ? v.x : v.x * s;
        v.y = v.y >= 0 ? v.y : v.y * s;
        *reinterpret_cast<float2*>(y + i) = v;
    } else if (i < n) {
        y[i] = x[i] >= 0 ? x[i] : x[i] * s;
    }
}
torch::Tensor forward(torch::Tensor x, double slope) {
    auto input = x.is_contiguous() ? x : x.contiguous();
    auto y = torch::empty(input.sizes(), input.options());
    auto n = input.numel();
    auto pairs = n / 2 + n % 2;
    int block = 128;
    int64_t grid = pairs / block;
    if (pairs % block) grid++;
    leaky2<<<grid, block>>>(input.data_ptr<float>(), y.data_ptr<float>(), slope, n);
    return y;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("forward", &forward); }
