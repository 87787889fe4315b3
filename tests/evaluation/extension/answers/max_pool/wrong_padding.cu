// expect wrong
#include <torch/extension.h>
__global__ void pool(const float* in, float* out, int total, int h, int w, int oh, int ow, int k, int s, int p) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= total) return;
    int c = i % ow, r = i / ow % oh;
    float best = 0.f;
    for (int y = r * s - p; y < r * s - p + k; ++y) for (int x = c * s - p; x < c * s - p + k; ++x)
        if (y >= 0 && y < h && x >= 0 && x < w) best = fmaxf(best, in[(i / ow / oh * h + y) * w + x]);
    out[i] = best;
}
torch::Tensor forward(torch::Tensor input, int kernel_size, int stride, int padding) {
    int h = input.size(2), w = input.size(3);
    int oh = (h + 2 * padding - kernel_size) / stride + 1, ow = (w + 2 * padding - kernel_size) / stride + 1;
    auto out = torch::empty({input.size(0), input.size(1), oh, ow}, input.options());
    pool<<<(out.numel() + 255) / 256, 256>>>(input.data_ptr<float>(), out.data_ptr<float>(), out.numel(), h, w, oh, ow, kernel_size, stride, padding);
    return out;
}
