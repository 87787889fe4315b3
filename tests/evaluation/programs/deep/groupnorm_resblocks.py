import torch
import torch.nn as nn
import torch.nn.functional as F

class ResBlock(nn.Module):
    def __init__(self, channels, groups=32):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, channels), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return x + h

class Model(nn.Module):
    def __init__(self, in_channels=4, base=128, multipliers=(1, 2, 4)):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, base, 3, padding=1)
        blocks, width = [], base
        for factor in multipliers:
            blocks += [nn.Conv2d(width, base * factor, 3, stride=2, padding=1), ResBlock(base * factor)]
            width = base * factor
        self.blocks = nn.Sequential(*blocks)
        self.norm_out = nn.GroupNorm(num_groups=32, num_channels=width, eps=1e-6)
        self.out = nn.Conv2d(width, 8, 1)

    def forward(self, x):
        return self.out(F.silu(self.norm_out(self.blocks(self.stem(x)))))

def get_inputs():
    return [torch.randn(4, 4, 128, 128)]

def get_init_inputs():
    return []
