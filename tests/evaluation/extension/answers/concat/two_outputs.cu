// expect correct
#include <torch/extension.h>
#include <utility>
__global__ void joined(const float* a, const float* b, const float* c, float* top, float* sum, int rows, int la, int lb) {
    int j = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    int w = la + lb;
    if (r >= rows || j >= w) return;
    if (j < la) {
        float x = a[r * la + j], y = c[r * la + j];
        top[r * w + j] = x / (1.f + expf(-y));
        sum[r * la + j] = x + y;
    } else top[r * w + j] = b[r * lb + j - la];
}
std::pair<torch::Tensor, torch::Tensor> run(torch::Tensor a, torch::Tensor b, torch::Tensor c) {
    const int rows = a.size(0);
    const int la = a.size(1), lb = b.size(1);
    const int width = la + lb;
    auto top = torch::empty({rows, width}, a.options()), sum = torch::empty_like(a);
    const dim3 threads(32, 4);
    const dim3 blocks((width + threads.x - 1) / threads.x, (rows + threads.y - 1) / threads.y);
    joined<<<blocks, threads>>>(a.data_ptr<float>(), b.data_ptr<float>(), c.data_ptr<float>(), top.data_ptr<float>(), sum.data_ptr<float>(), rows, la, lb);
    return std::make_pair(top, sum);
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("run", [](torch::Tensor a, torch::Tensor b, torch::Tensor c) { return run(a, b, c); }); }
