// expect other result
#include <torch/extension.h>
__global__ void k(const float* x, float* values, int* indices, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float best = x[r * cols]; int at = 0;
    for (int c = 1; c < cols; ++c) if (x[r * cols + c] > best) { best = x[r * cols + c]; at = c; }
    values[r] = best; indices[r] = at;
}
std::vector<torch::Tensor> row_max(torch::Tensor x) {
    auto v = torch::empty({x.size(0)}, x.options());
    auto i = torch::empty({x.size(0)}, x.options().dtype(torch::kInt32));
    k<<<(x.size(0) + 31) / 32, 32>>>(x.data_ptr<float>(), v.data_ptr<float>(), i.data_ptr<int>(), x.size(0), x.size(1));
    return {v, i};
}
