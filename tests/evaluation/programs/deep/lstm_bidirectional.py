import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self, input_size, hidden_size, num_layers, output_size, dropout=0.0):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout, bidirectional=True)
        self.fc = nn.Linear(hidden_size * 2, output_size)

    def forward(self, x, h0, c0):
        out, hn = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :])

batch_size = 10
sequence_length = 512
input_size = 128
hidden_size = 256
num_layers = 6
output_size = 10

def get_inputs():
    states = [torch.rand((num_layers * 2, batch_size, hidden_size)) for _ in range(2)]
    return [torch.rand(batch_size, sequence_length, input_size), *states]

def get_init_inputs():
    return [input_size, hidden_size, num_layers, output_size]
