# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

cuda_source = r'''
#include <torch/extension.h>
#define BM 32
#define BN 32
#define BK 8
#define TM 4
static_assert(BM % TM == 0, "rows of a thread");
__global__ void sgemm(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C, int M, int N, int K) {
    __shared__ float As[BK][BM];
    __shared__ float Bs[BK][BN];
    const int tx = threadIdx.x % BN, ty = threadIdx.x / BN;
    const int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    float acc[TM] = {0.f};
    for (int k0 = 0; k0 < K; k0 += BK) {
        for (int i = threadIdx.x; i < BM * BK; i += blockDim.x) {
            int r = i / BK, k = i % BK;
            As[k][r] = (row0 + r < M && k0 + k < K) ? A[(row0 + r) * K + k0 + k] : 0.f;
        }
        for (int i = threadIdx.x; i < BN * BK; i += blockDim.x) {
            int k = i / BN, c = i % BN;
            Bs[k][c] = (col0 + c < N && k0 + k < K) ? B[(k0 + k) * N + col0 + c] : 0.f;
        }
        __syncthreads();
        #pragma unroll
        for (int k = 0; k < BK; ++k)
            #pragma unroll
            for (int i = 0; i < TM; ++i) acc[i] += As[k][ty * TM + i] * Bs[k][tx];
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i) {
        int r = row0 + ty * TM + i, c = col0 + tx;
        if (r < M && c < N) C[r * N + c] = acc[i];
    }
}

#define CHECK(x) do { TORCH_CHECK((x).is_cuda(), #x); TORCH_CHECK((x).dtype() == torch::kFloat32, #x); } while (false)

torch::Tensor sgemm_launch(const torch::Tensor& A, const torch::Tensor& B) {
    CHECK(A);
    CHECK(B);
    const auto M = static_cast<int>(A.size(0)), K = static_cast<int>(A.size(1)), N = static_cast<int>(B.size(1));
    torch::Tensor C = at::empty({M, N}, A.options().memory_format(at::MemoryFormat::Contiguous));
    const dim3 grid = dim3((N + BN - 1) / BN, (M + BM - 1) / BM);
    constexpr int threads = BM * BN / TM;
    sgemm<<<grid, threads>>>(A.const_data_ptr<float>(), B.const_data_ptr<float>(), C.mutable_data_ptr<float>(), M, N, K);
    return C;
}
'''

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        ext = load_inline('sgemm', cpp_sources='torch::Tensor sgemm_launch(const torch::Tensor& A, const torch::Tensor& B);', cuda_sources=cuda_source, functions=['sgemm_launch'])
        self.op = ext

    def forward(self, A, B):
        assert A.shape[1] == B.shape[0], f"cannot multiply {A.shape} and {B.shape}"
        return self.op.sgemm_launch(A.contiguous(), B.contiguous())
