import torch
import torch.nn as nn
import torch.nn.functional as F

from einops import rearrange

class Model(nn.Module):
    def __init__(self, dim=512, heads=8, dim_head=64, window=16):
        super().__init__()
        self.heads, self.window = heads, window
        self.to_qkv = nn.Linear(dim, heads * dim_head * 3, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim)

    def forward(self, x):
        q, k, v = rearrange(self.to_qkv(x), "b (w n) (t h d) -> t b h w n d", n=self.window, t=3, h=self.heads)
        attn = torch.einsum("bhwid,bhwjd->bhwij", q, k) * q.shape[-1] ** -0.5
        out = rearrange(attn.softmax(-1) @ v, "b h w n d -> b (w n) (h d)")
        return self.to_out(out)

def get_inputs():
    return [torch.randn(8, 1024, 512)]

def get_init_inputs():
    return []
