# expect correct
import torch
from torch.utils.cpp_extension import load_inline

CUDA = """
__global__ void add2(const float* a, const float* b, float* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + 2 * b[i];
}
void add2_launch(torch::Tensor a, torch::Tensor b, torch::Tensor c) {
    int n = a.numel();
    add2<<<at::ceil_div(n, 256), 256>>>(a.data_ptr<float>(), b.data_ptr<float>(), c.data_ptr<float>(), n);
}
"""
CPP = "void add2_launch(torch::Tensor a, torch::Tensor b, torch::Tensor c);"
lib = load_inline(name="add2", cpp_sources=[CPP], cuda_sources=[CUDA], functions=["add2_launch"], with_cuda=True)

def fused_operator(tensor_0, tensor_1):
    rows, one, cols = tensor_0.shape
    out = torch.empty((rows, one, cols), device=tensor_0.device, dtype=tensor_0.dtype)
    lib.add2_launch(tensor_0, tensor_1, out)
    return [out]
