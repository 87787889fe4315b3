import torch

rows = 96
cols = 500

def get_inputs():
    return [torch.randn(rows, cols)]

def fused_operator(x):
    values, indices = torch.max(x, dim=1)
    return values, indices
