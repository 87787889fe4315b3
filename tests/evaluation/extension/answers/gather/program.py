import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)

    def forward(self, tokens):
        return self.table(tokens)

vocabulary = 200
width = 48
length = 77

def get_inputs():
    return [torch.randint(0, vocabulary, (3, length))]

def get_init_inputs():
    return [vocabulary, width]
