// expect not understood
#include <torch/extension.h>
__global__ void add(const float* a, const float* c, float* o, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = a[i] + c[i]; }
class Runner {
 public:
    Runner(torch::Tensor a) : a_(a) {}
    torch::Tensor run(torch::Tensor c) {
        auto o = torch::empty_like(a_);
        add<<<(a_.numel() + 255) / 256, 256>>>(a_.data_ptr<float>(), c.data_ptr<float>(), o.data_ptr<float>(), a_.numel());
        return o;
    }
 private:
    torch::Tensor a_;
};
std::vector<torch::Tensor> run(torch::Tensor a, torch::Tensor b, torch::Tensor c) {
    Runner runner(a);
    auto o = runner.run(c);
    return {o, o};
}
