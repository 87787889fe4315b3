import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x, state):
        out, (hn, cn) = self.lstm(x, state)
        return self.fc(out), (hn, cn)

def get_inputs():
    return [torch.rand(10, 512, 128), (torch.rand(6, 10, 256), torch.rand(6, 10, 256))]

def get_init_inputs():
    return [128, 256, 6, 10]
