// expect correct
#include <torch/extension.h>
__global__ void k(const float* x, const float* b, float* y, int L, int C, int total) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= total) return;
    const int l = i % L, c = i / L % C, n = i / (L * C);
    y[i] = x[(n * L + l) * C + c] + b[c];
}
at::Tensor forward(at::Tensor x, at::Tensor bias) {
    auto flat = bias.reshape({-1});
    auto y = at::empty({x.numel()}, x.options());
    const int L = x.size(-2), C = x.size(-1);
    k<<<(y.numel() + 95) / 96, 96>>>(x.data_ptr<float>(), flat.data_ptr<float>(), y.data_ptr<float>(), L, C, y.numel());
    return y.view({-1, C, L});
}
