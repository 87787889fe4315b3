import torch
import torch.nn.functional as F
n = 1 << 22
def get_inputs():
    return [torch.randn(n)]
def fused_operator(x):
    return x * 2
