// expect wrong
#include <torch/extension.h>
__global__ void exps(const float* x, float* y, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float s = 0;
    for (int c = 0; c < cols; ++c) s += expf(x[r * cols + c]);
    for (int c = 0; c < cols; ++c) y[r * cols + c] = expf(x[r * cols + c]) / s;
}
torch::Tensor forward(torch::Tensor x) {
    int rows = x.size(0), cols = x.size(1);
    auto y = torch::empty_like(x);
    exps<<<(rows + 63) / 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), rows, cols);
    return y;
}
