import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self, latent=128):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 128, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(128 * 16 * 16, latent),
        )
        self.expand = nn.Linear(latent, 128 * 16 * 16)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 4, 2, 1),
        )

    def forward(self, x):
        z = self.encoder(x)
        y = self.expand(z).view(-1, 128, 16, 16)
        return torch.sigmoid(self.decoder(y)), z

def get_inputs():
    return [torch.rand(32, 3, 128, 128)]

def get_init_inputs():
    return []
