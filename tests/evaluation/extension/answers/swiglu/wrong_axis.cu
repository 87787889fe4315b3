// expect wrong
#include <torch/extension.h>
__global__ void k(const float* g, const float* u, const float* w, float* o, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float ss = 0;
    for (int c = 0; c < cols; ++c) { float v = g[r * cols + c] / (1 + expf(-g[r * cols + c])) * u[r * cols + c]; o[r * cols + c] = v; ss += v * v; }
    for (int c = 0; c < cols; ++c) o[r * cols + c] *= rsqrtf(ss / rows + 1e-6f) * w[c];
}
torch::Tensor fused_operator(torch::Tensor g, torch::Tensor u, torch::Tensor w) {
    auto o = torch::empty_like(g);
    k<<<(g.size(0) + 31) / 32, 32>>>(g.data_ptr<float>(), u.data_ptr<float>(), w.data_ptr<float>(), o.data_ptr<float>(), g.size(0), g.size(1));
    return o;
}
