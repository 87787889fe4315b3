# expect correct
import torch
from torch import nn
from torch.utils import cpp_extension

_ext = cpp_extension.load_inline(
    "leaky_in_place",
    "void leaky_(torch::Tensor x, double slope);",
    """
    __global__ void leaky_(float* x, float slope, long n) {
        long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        x[i] = fmaxf(x[i], 0.0f) + slope * fminf(x[i], 0.0f);
    }
    void leaky_(torch::Tensor x, double slope) {
        long n = x.numel();
        leaky_<<<(unsigned int)((n + 1023) / 1024), 1024>>>(x.data<float>(), slope, n);
    }
    """,
    functions=["leaky_"],
)

class ModelNew(nn.Module):
    def __init__(self, *args):
        super().__init__()
        self.slope = 0.1

    def forward(self, x):
        y = x.clone()
        _ext.leaky_(y, self.slope)
        return y
