import torch
import torch.nn as nn
import torch.nn.functional as F
batch, channels, height, width = 16, 64, 128, 128
def get_inputs():
    return [torch.randn(batch, channels, height, width)]
def fused_operator(x):
    return F.max_pool2d(x, 3, stride=2, padding=1)
