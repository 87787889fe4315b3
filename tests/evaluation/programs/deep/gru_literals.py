import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20000, 300)
        self.gru = nn.GRU(300, 512, num_layers=2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(1024)
        self.head = nn.Linear(1024, 2)

    def forward(self, tokens):
        states, last = self.gru(self.embedding(tokens))
        return self.head(self.norm(states.mean(dim=1))), last

def get_inputs():
    return [torch.randint(0, 20000, (64, 200))]

def get_init_inputs():
    return []
