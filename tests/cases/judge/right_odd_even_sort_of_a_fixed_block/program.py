import torch
import torch.nn as nn
import torch.nn.functional as F
rows, cols = 512, 256
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return torch.sort(x, dim=1).values
