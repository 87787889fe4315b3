import torch
import torch.nn.functional as F
rows, cols = 4096, 2048
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return torch.argmax(x, dim=1)
