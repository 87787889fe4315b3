// expect other result
#include <torch/extension.h>
__global__ void add(const float* a, const float* c, float* o, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = a[i] + c[i]; }
torch::Tensor run(torch::Tensor a, torch::Tensor b, torch::Tensor c) {
    auto o = torch::empty_like(a);
    add<<<(a.numel() + 255) / 256, 256>>>(a.data_ptr<float>(), c.data_ptr<float>(), o.data_ptr<float>(), a.numel());
    return o;
}
