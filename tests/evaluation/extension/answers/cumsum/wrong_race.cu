// expect fault
#include <torch/extension.h>
__global__ void scan(const float* x, float* y, int cols) {
    __shared__ float s[128];
    float carry = 0.f;
    for (int base = 0; base < cols; base += 128) {
        int i = base + threadIdx.x;
        s[threadIdx.x] = i < cols ? x[blockIdx.x * cols + i] : 0.f;
        __syncthreads();
        for (int o = 1; o < 128; o <<= 1) {
            if (threadIdx.x >= o) s[threadIdx.x] += s[threadIdx.x - o];
            __syncthreads();
        }
        if (i < cols) y[blockIdx.x * cols + i] = carry + s[threadIdx.x];
        carry += s[127];
        __syncthreads();
    }
}
torch::Tensor forward(torch::Tensor x) {
    auto y = torch::empty_like(x);
    scan<<<x.size(0), 128>>>(x.data_ptr<float>(), y.data_ptr<float>(), x.size(1));
    return y;
}
