// expect not understood
#include <torch/extension.h>
__constant__ float inverse[1];
__global__ void mse(const float* p, const float* t, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(out, (p[i] - t[i]) * (p[i] - t[i]) * inverse[0]);
}
torch::Tensor forward(torch::Tensor p, torch::Tensor t) {
    auto out = torch::zeros({}, p.options());
    float inv = 1.0f / p.numel();
    cudaMemcpyToSymbol(inverse, &inv, sizeof(float));
    mse<<<(p.numel() + 255) / 256, 256>>>(p.data_ptr<float>(), t.data_ptr<float>(), out.data_ptr<float>(), p.numel());
    return out;
}
