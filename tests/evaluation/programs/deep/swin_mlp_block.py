import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self, dim=96, resolution=56, num_heads=3, window_size=7, mlp_ratio=4):
        super().__init__()
        self.resolution, self.heads, self.window = resolution, num_heads, window_size
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.spatial = nn.Conv1d(num_heads * window_size**2, num_heads * window_size**2, kernel_size=1, groups=num_heads)
        self.mlp = nn.Sequential(nn.Linear(dim, dim * mlp_ratio), nn.GELU(), nn.Linear(dim * mlp_ratio, dim))

    def forward(self, x):
        h = w = self.resolution
        b, length, c = x.shape
        s = self.window
        y = self.norm1(x).view(b, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, self.heads, c // self.heads)
        y = self.spatial(y.transpose(1, 2).reshape(-1, self.heads * s * s, c // self.heads))
        y = y.view(-1, self.heads, s * s, c // self.heads).transpose(1, 2).reshape(b, h // s, w // s, s, s, c)
        x = x + y.permute(0, 1, 3, 2, 4, 5).reshape(b, length, c)
        return x + self.mlp(self.norm2(x))

def get_inputs():
    return [torch.randn(8, 56 * 56, 96)]

def get_init_inputs():
    return []
