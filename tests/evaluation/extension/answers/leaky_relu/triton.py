# expect no kernel
import torch
import triton
import triton.language as tl

@triton.jit
def leaky_kernel(x_ptr, y_ptr, s, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.where(x > 0, x, x * s), mask=i < n)

class ModelNew(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s

    def forward(self, x):
        y = torch.empty_like(x)
        leaky_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, self.s, x.numel(), BLOCK=1024)
        return y
