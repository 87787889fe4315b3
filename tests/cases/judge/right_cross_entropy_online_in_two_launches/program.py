import torch
import torch.nn as nn
import torch.nn.functional as F
batch, classes = 4096, 1000
def get_inputs():
    return [torch.randn(batch, classes), torch.randint(0, classes, (batch,))]
def fused_operator(x, t):
    return F.cross_entropy(x, t)
