# expect correct
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

kernel = """
extern "C" __global__ void bmm_flat(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int batch, int m, int n, int k) {
    for (long i = blockIdx.x * (long)blockDim.x + threadIdx.x; i < (long)batch * m * n; i += (long)gridDim.x * blockDim.x) {
        int col = i % n; long rest = i / n; int row = rest % m; int z = rest / m;
        float s = 0.0f;
        for (int p = 0; p < k; p++) s += a[((long)z * m + row) * k + p] * b[((long)z * k + p) * n + col];
        c[i] = s;
    }
}
"""
host = """
void bmm_out(at::Tensor &out, const at::Tensor &a, const at::Tensor &b) {
    int batch = a.size(0), m = a.size(1), k = a.size(2), n = b.size(2);
    int64_t work = out.numel();
    int block = 256;
    int grid = work / block + (work % block != 0);
    grid = grid > 4096 ? 4096 : grid;
    bmm_flat<<<grid, block>>>((const float*)a.data_ptr(), (const float*)b.data_ptr(), (float*)out.data_ptr(), batch, m, n, k);
}
"""
ext = load_inline(name="bmm_out", cpp_sources="void bmm_out(at::Tensor &out, const at::Tensor &a, const at::Tensor &b);",
                  cuda_sources="#include <torch/extension.h>\n" + kernel + host, functions=["bmm_out"])

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b):
        out = torch.zeros(a.shape[:-1] + b.shape[-1:], device="cuda", dtype=torch.float32)
        ext.bmm_out(out, a, b)
        return out
