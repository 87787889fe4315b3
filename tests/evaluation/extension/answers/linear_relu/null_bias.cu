// expect not understood
#include <torch/extension.h>
__global__ void k(const float* x, const float* w, const float* b, float* y, int I, int O) {
    for (int o = threadIdx.x; o < O; o += blockDim.x) {
        float a = b ? b[o] : 0;
        for (int i = 0; i < I; ++i) a += x[blockIdx.x * I + i] * w[o * I + i];
        y[blockIdx.x * O + o] = a;
    }
}
__global__ void relu_bias(float* y, const float* b, float s, int O, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaxf(y[i] + b[i % O], 0) * s;
}
torch::Tensor forward(torch::Tensor x, torch::Tensor w, torch::Tensor b, double scale) {
    auto y = torch::empty({x.size(0), w.size(0)}, x.options());
    k<<<x.size(0), 64>>>(x.data_ptr<float>(), w.data_ptr<float>(), nullptr, y.data_ptr<float>(), x.size(1), w.size(0));
    relu_bias<<<(y.numel() + 255) / 256, 256>>>(y.data_ptr<float>(), b.data_ptr<float>(), scale, w.size(0), y.numel());
    return y;
}
