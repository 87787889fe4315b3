import torch
import torch.nn.functional as F
def get_inputs():
    return [torch.rand(1024, 1024), torch.rand(1024, 1024)]
def fused_operator(a, b):
    return a @ b
