import torch
import torch.nn.functional as F
batch, channels, height, width = 16, 32, 128, 128
def get_inputs():
    return [torch.rand(batch, channels, height, width)]
def fused_operator(x):
    return F.avg_pool2d(x, 2)
