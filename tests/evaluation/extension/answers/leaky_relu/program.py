import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope
    def forward(self, x):
        return torch.nn.functional.leaky_relu(x, self.slope)

batch = 64
dim = 512
def get_inputs():
    return [torch.randn(batch, dim)]
def get_init_inputs():
    return [0.1]
