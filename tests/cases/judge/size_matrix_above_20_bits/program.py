import torch
import torch.nn.functional as F
rows, cols = 4096, 4096
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return torch.relu(x) * 2 + 1
