// expect not understood
#include <torch/extension.h>
__global__ void mse(const float* p, const float* t, float* out, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(out, (p[i] - t[i]) * (p[i] - t[i]) / n);
}
torch::Tensor forward(torch::Tensor p, torch::Tensor t) {
    auto out = torch::zeros({}, p.options());
    int grid = 0, block = 0;
    cudaOccupancyMaxPotentialBlockSize(&grid, &block, mse, 0, 0);
    mse<<<grid, block>>>(p.data_ptr<float>(), t.data_ptr<float>(), out.data_ptr<float>(), p.numel());
    return out;
}
