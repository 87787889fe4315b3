// expect not understood
#include <torch/extension.h>
__global__ void squares(const float* p, const float* t, float* o, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = (p[i] - t[i]) * (p[i] - t[i]) / n; }
__global__ void halve(float* o, int n, int half) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i + half < n) o[i] += o[i + half]; }
torch::Tensor forward(torch::Tensor p, torch::Tensor t) {
    auto o = torch::empty_like(p);
    int n = p.numel();
    squares<<<(n + 255) / 256, 256>>>(p.data_ptr<float>(), t.data_ptr<float>(), o.data_ptr<float>(), n);
    while (n > 1) {
        int half = (n + 1) / 2;
        halve<<<(half + 255) / 256, 256>>>(o.data_ptr<float>(), n, half);
        n = half;
    }
    return o.view(-1)[0];
}
