import torch
import torch.nn.functional as F
batch, channels, size = 16, 32, 128
def get_inputs():
    return [torch.rand(batch, channels, size, size)]
def fused_operator(x):
    return F.avg_pool2d(x, 2)
