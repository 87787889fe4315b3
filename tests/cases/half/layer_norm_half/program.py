import torch
import torch.nn.functional as F

R, C = 4096, 1024

def get_inputs():
    return [torch.randn(R, C, dtype=torch.float16), torch.randn(C, dtype=torch.float16), torch.randn(C, dtype=torch.float16)]

def fused_operator(x, w, b):
    return [F.layer_norm(x, (x.shape[-1],), w, b)]
