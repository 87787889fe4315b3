// expect not understood
#include <torch/extension.h>
__global__ void copy_row(const float* table, const int64_t* tokens, float* out, int width, int t) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) out[t * width + i] = table[tokens[t] * width + i];
}
torch::Tensor forward(torch::Tensor tokens, torch::Tensor table) {
    auto out = torch::empty({tokens.size(0), tokens.size(1), table.size(1)}, table.options());
    for (int t = 0; t < tokens.numel(); ++t)
        copy_row<<<1, 64>>>(table.data_ptr<float>(), tokens.data_ptr<int64_t>(), out.data_ptr<float>(), table.size(1), t);
    return out;
}
