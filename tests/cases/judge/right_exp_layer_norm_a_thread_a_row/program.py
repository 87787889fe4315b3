import torch
import torch.nn as nn
import torch.nn.functional as F
rows, cols = 8192, 2048
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return F.layer_norm(torch.exp(x), (cols,))
