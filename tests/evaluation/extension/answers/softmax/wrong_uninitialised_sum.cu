// expect fault
#include <torch/extension.h>
__global__ void exps(const float* x, float* y, float* s, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float m = -INFINITY;
    for (int c = 0; c < cols; ++c) m = fmaxf(m, x[r * cols + c]);
    for (int c = 0; c < cols; ++c) { float e = expf(x[r * cols + c] - m); y[r * cols + c] = e; s[r] += e; }
    for (int c = 0; c < cols; ++c) y[r * cols + c] /= s[r];
}
torch::Tensor forward(torch::Tensor x) {
    int rows = x.size(0), cols = x.size(1);
    auto s = torch::empty({rows}, x.options());
    auto y = torch::empty_like(x);
    exps<<<(rows + 63) / 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), s.data_ptr<float>(), rows, cols);
    return y;
}
