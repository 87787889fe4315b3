// expect fault
#include <torch/extension.h>
__global__ void mm(const float* A, const float* B, float* C, int M, int K, int N) {
    int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= M || col >= N) return;
    float acc = 0;
    for (int k = 0; k < K; k++) acc += A[row * N + k] * B[k * N + col];
    C[row * N + col] = acc;
}
torch::Tensor mm_cuda(torch::Tensor A, torch::Tensor B) {
    auto C = torch::empty({A.size(0), B.size(1)}, A.options());
    dim3 block(16, 16), grid((B.size(1) + 15) / 16, (A.size(0) + 15) / 16);
    mm<<<grid, block>>>(A.data_ptr<float>(), B.data_ptr<float>(), C.data_ptr<float>(), A.size(0), A.size(1), B.size(1));
    return C;
}
