import torch
import torch.nn as nn
import torch.nn.functional as F
batch, cin, cout, height, width = 16, 32, 64, 128, 128
def get_inputs():
    return [torch.randn(batch, cin, height, width), torch.randn(cout, cin, 3, 3) * 0.1]
def fused_operator(x, w):
    return F.conv2d(x, w, stride=2, padding=1)
