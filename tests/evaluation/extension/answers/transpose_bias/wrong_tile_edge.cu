// expect fault
#include <torch/extension.h>
#define TILE 16
__global__ void t(const float* x, const float* b, float* y, int L, int C) {
    __shared__ float tile[TILE][TILE];
    const float* in = x + (size_t)blockIdx.z * L * C;
    float* out = y + (size_t)blockIdx.z * L * C;
    int c = blockIdx.x * TILE + threadIdx.x, l = blockIdx.y * TILE + threadIdx.y;
    if (l < L && c < C) tile[threadIdx.y][threadIdx.x] = in[l * C + c];
    int cc = blockIdx.x * TILE + threadIdx.y, ll = blockIdx.y * TILE + threadIdx.x;
    if (ll < L && cc < C) out[cc * L + ll] = tile[threadIdx.x][threadIdx.y] + b[cc];
}
at::Tensor forward(at::Tensor x, at::Tensor bias) {
    auto y = at::empty({x.size(0), x.size(2), x.size(1)}, x.options());
    dim3 grid((x.size(2) + TILE - 1) / TILE, (x.size(1) + TILE - 1) / TILE, x.size(0));
    t<<<grid, dim3(TILE, TILE)>>>(x.data_ptr<float>(), bias.data_ptr<float>(), y.data_ptr<float>(), x.size(1), x.size(2));
    return y;
}
