import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, features: int, groups: int):
        super(Model, self).__init__()
        self.gn = nn.GroupNorm(num_groups=groups, num_channels=features)

    def forward(self, x):
        return self.gn(x)

batch = 4
features = 32
groups = 8
height = 20
width = 24

def get_inputs():
    return [torch.randn(batch, features, height, width)]

def get_init_inputs():
    return [features, groups]
