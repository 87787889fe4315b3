// expect correct
#include <torch/extension.h>

constexpr int WARP = 32;
template <int ROWS_PER_BLOCK>
__global__ void softmax_warp(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (row >= rows) return;
    const float* in = x + (long)row * cols;
    float* out = y + (long)row * cols;
    float m = -INFINITY, s = 0.f;
    for (int i = threadIdx.x; i < cols; i += WARP) m = max(m, in[i]);
    for (int o = WARP / 2; o; o >>= 1) m = max(m, __shfl_xor_sync(0xffffffffu, m, o));
    for (int i = threadIdx.x; i < cols; i += WARP) s += __expf(in[i] - m);
    for (int o = WARP / 2; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
    for (int i = threadIdx.x; i < cols; i += WARP) out[i] = __expf(in[i] - m) / s;
}

static inline unsigned div_up(unsigned a, unsigned b) { return (a + b - 1) / b; }

torch::Tensor softmax(torch::Tensor x, int64_t dim) {
    TORCH_CHECK(dim == 1 || dim == -1);
    const int cols = x.size(-1);
    const int rows = x.numel() / cols;
    auto y = torch::empty_like(x, torch::MemoryFormat::Contiguous);
    constexpr int R = 4;
    softmax_warp<R><<<div_up(rows, R), dim3(WARP, R)>>>(x.data_ptr<float>(), y.data_ptr<float>(), rows, cols);
    return y;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("softmax", &softmax, py::arg("x"), py::arg("dim") = 1);
}
