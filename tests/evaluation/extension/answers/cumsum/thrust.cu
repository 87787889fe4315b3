// expect calls a library
#include <torch/extension.h>
#include <thrust/scan.h>
#include <thrust/device_ptr.h>
__global__ void nothing(float* x) {}
torch::Tensor forward(torch::Tensor x) {
    auto y = torch::empty_like(x);
    thrust::device_ptr<float> in(x.data_ptr<float>()), out(y.data_ptr<float>());
    for (int i = 0; i < 1; ++i) thrust::inclusive_scan(in, in + 10, out);
    return y;
}
