import torch
import torch.nn.functional as F
def get_inputs():
    return [torch.rand(16, 32, 128, 128)]
def fused_operator(x):
    return F.avg_pool2d(x, 2)
