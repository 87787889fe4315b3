import torch
import torch.nn as nn
import torch.nn.functional as F

from einops import rearrange

class Model(nn.Module):
    def __init__(self, batch_size, seq_length, n_heads, d_head, d_state, block_len=64):
        super().__init__()
        assert seq_length % block_len == 0, "sequence length must be divisible by block length"
        self.block_len = block_len
        self.A = nn.Parameter(torch.randn(batch_size, seq_length, n_heads) * 0.1)
        self.B = nn.Parameter(torch.randn(batch_size, seq_length, n_heads, d_state))
        self.C = nn.Parameter(torch.randn(batch_size, seq_length, n_heads, d_state))

    def segsum(self, x):
        T = x.size(-1)
        sums = torch.cumsum(x, dim=-1)
        segments = sums[..., :, None] - sums[..., None, :]
        return segments.masked_fill(~torch.tril(torch.ones(T, T, device=x.device, dtype=bool)), -torch.inf)

    def forward(self, X):
        X, A, B, C = [rearrange(x, "b (c l) ... -> b c l ...", l=self.block_len) for x in (X, self.A, self.B, self.C)]
        A = rearrange(A, "b c l h -> b h c l")
        L = torch.exp(self.segsum(-A.abs()))
        Y = torch.einsum("bclhn,bcshn,bhcls,bcshp->bclhp", C, B, L, X)
        return rearrange(Y, "b c l h p -> b (c l) h p")

batch_size = 16
seq_length = 128
n_heads = 8
d_head = 64
d_state = 16
block_len = 64

def get_inputs():
    return [torch.randn(batch_size, seq_length, n_heads, d_head)]

def get_init_inputs():
    return [batch_size, seq_length, n_heads, d_head, d_state, block_len]
