// expect correct
#include <torch/extension.h>
#include <cuda_runtime.h>

#define FULL 0xffffffff
#define EPS 1e-6f

__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }

__global__ void swiglu_rms(const float* gate, const float* up, const float* weight, float* out, int hidden) {
    extern __shared__ float h[];
    __shared__ float warp_sums[32];
    const int row = blockIdx.x, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    float ss = 0.0f;
    for (int i = threadIdx.x; i < hidden; i += blockDim.x) {
        float v = silu(gate[row * hidden + i]) * up[row * hidden + i];
        h[i] = v;
        ss += v * v;
    }
    for (int o = 16; o > 0; o >>= 1) ss += __shfl_xor_sync(FULL, ss, o);
    if (lane == 0) warp_sums[warp] = ss;
    __syncthreads();
    float total = 0.0f;
    for (int i = 0; i < blockDim.x / 32; ++i) total += warp_sums[i];
    const float scale = rsqrtf(total / hidden + EPS);
    for (int i = threadIdx.x; i < hidden; i += blockDim.x) out[row * hidden + i] = h[i] * scale * weight[i];
}

torch::Tensor fused_operator(torch::Tensor gate, torch::Tensor up, torch::Tensor weight) {
    const int64_t tokens = gate.size(0);
    const int64_t hidden = gate.size(1);
    torch::Tensor out = torch::empty_like(gate);
    int threads = 256;
    if (hidden < 256) {
        threads = ((hidden + 31) / 32) * 32;
    } else if (hidden >= 4096) {
        threads = 1024;
    }
    swiglu_rms<<<tokens, threads, hidden * sizeof(float)>>>(
        gate.data_ptr<float>(), up.data_ptr<float>(), weight.data_ptr<float>(), out.data_ptr<float>(), hidden);
    return out;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("fused_operator", &fused_operator, "SwiGLU and RMSNorm");
}
