import torch
import torch.nn as nn
import torch.nn.functional as F
batch = 4096
vocab = 32000
dim = 256
class Model(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.e = nn.Embedding(vocab, dim)
    def forward(self, i):
        return self.e(i)
def get_inputs():
    return [torch.randint(0, vocab, (batch,))]
def get_init_inputs():
    return [vocab, dim]
