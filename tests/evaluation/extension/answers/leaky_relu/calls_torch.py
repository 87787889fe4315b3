# expect calls a library
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline
src = """
#include <torch/extension.h>
torch::Tensor leaky(torch::Tensor x, double s) { return torch::where(x > 0, x, x * s); }
"""
ext = load_inline(name="l", cpp_sources=src, functions=["leaky"])
class ModelNew(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
    def forward(self, x):
        return ext.leaky(x, self.s)
