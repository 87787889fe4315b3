import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.ln = nn.LayerNorm(features, eps=1e-5)

    def forward(self, x):
        return self.ln(x)

batch = 16
tokens = 50
features = 384

def get_inputs():
    return [torch.randn(batch, tokens, features)]

def get_init_inputs():
    return [features]
