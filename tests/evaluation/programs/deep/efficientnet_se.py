import torch
import torch.nn as nn
import torch.nn.functional as F

class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, max(1, channels // reduction), 1)
        self.fc2 = nn.Conv2d(max(1, channels // reduction), channels, 1)

    def forward(self, x):
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.fc2(F.silu(self.fc1(scale))))

class MBConv(nn.Module):
    def __init__(self, inp, out, stride, expand):
        super().__init__()
        hidden = round(inp * expand)
        self.skip = stride == 1 and inp == out
        self.block = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(),
            SqueezeExcite(hidden), nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out),
        )

    def forward(self, x):
        return x + self.block(x) if self.skip else self.block(x)

class Model(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.SiLU())
        settings = [(4, 48, 3, 2), (4, 64, 3, 2), (4, 128, 3, 2), (6, 160, 3, 1), (6, 256, 3, 2)]
        layers, inp = [], 24
        for expand, out, count, stride in settings:
            for index in range(count):
                layers.append(MBConv(inp, out, stride if index == 0 else 1, expand))
                inp = out
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Conv2d(256, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.SiLU())
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, x):
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(x.mean([2, 3]))

def get_inputs():
    return [torch.randn(2, 3, 240, 240)]

def get_init_inputs():
    return []
