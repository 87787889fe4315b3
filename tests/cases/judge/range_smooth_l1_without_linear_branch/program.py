import torch
import torch.nn as nn
import torch.nn.functional as F
n = 4194304

def fused_operator(x, y):
    return F.smooth_l1_loss(x, y)

def get_inputs():
    return [torch.rand(n), torch.rand(n)]
