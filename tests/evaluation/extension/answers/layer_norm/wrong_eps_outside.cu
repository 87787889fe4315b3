// expect wrong
#include <torch/extension.h>
__global__ void ln(const float* x, const float* w, const float* b, float* y, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float m = 0, v = 0;
    for (int i = 0; i < cols; ++i) m += x[r * cols + i];
    m /= cols;
    for (int i = 0; i < cols; ++i) v += (x[r * cols + i] - m) * (x[r * cols + i] - m);
    v /= cols - 1;
    for (int i = 0; i < cols; ++i) y[r * cols + i] = (x[r * cols + i] - m) * rsqrtf(v + 1e-5f) * w[i] + b[i];
}
torch::Tensor forward(torch::Tensor x, torch::Tensor w, torch::Tensor b) {
    int cols = x.size(2), rows = x.size(0) * x.size(1);
    auto y = torch::empty_like(x);
    ln<<<(rows + 31) / 32, 32>>>(x.data_ptr<float>(), w.data_ptr<float>(), b.data_ptr<float>(), y.data_ptr<float>(), rows, cols);
    return y;
}
