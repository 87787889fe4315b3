import torch
rows = 4096
cols = 2048

def fused_operator(x):
    return torch.argmax(x, dim=1)

def get_inputs():
    return [torch.randn(rows, cols)]
