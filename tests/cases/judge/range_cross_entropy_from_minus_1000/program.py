import torch
import torch.nn.functional as F
B, C = 2048, 1000
def get_inputs():
    return [torch.rand(B, C), torch.randint(0, C, (B,))]
def fused_operator(x, y):
    return F.cross_entropy(x, y, reduction="none")
