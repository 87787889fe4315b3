// expect correct
#include <torch/extension.h>
__global__ void k(const float* x, const float* w, const float* b, float* y, float s, int I, int O) {
    for (int o = threadIdx.x; o < O; o += blockDim.x) {
        float a = b[o];
        for (int i = 0; i < I; ++i) a += x[blockIdx.x * I + i] * w[o * I + i];
        y[blockIdx.x * O + o] = fmaxf(a, 0) * s;
    }
}
at::Tensor forward(const at::Tensor x, const at::Tensor weight, const at::Tensor bias, double scale) {
    auto y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(at::kFloat));
    k<<<x.size(0), std::min<int64_t>(256, weight.size(0))>>>(x.data_ptr<float>(), weight.data_ptr<float>(), bias.data_ptr<float>(), y.data_ptr<float>(), scale, x.size(1), weight.size(0));
    return y;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("forward", &forward); }
