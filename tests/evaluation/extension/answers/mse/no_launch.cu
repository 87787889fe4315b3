// expect no kernel
#include <torch/extension.h>
__global__ void unused(const float* p) {}
torch::Tensor forward(torch::Tensor p, torch::Tensor t) {
    auto out = torch::zeros({}, p.options());
    return out;
}
