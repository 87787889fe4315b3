"""Digests of tensors by the same two rules as SGLang's /weights_checker.

A server on a CPU takes the first 8 bytes of SHA-256. A server on a GPU mixes each 32-bit word with its place,
adds the words of tiles of 8192, mixes the sums and adds those: an order-dependent hash that a GPU computes
at the speed of its memory. The mixer is the finaliser of MurmurHash3 (Appleby 2011), the last step that of
SplitMix64 (Steele et al. 2014).
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_TILE_WORDS = 8192
_CHUNK_TILES = 1024  # 32 MiB of weights, 64 MiB for each of a few temporaries
_SEED_1 = 0x243F6A88
_SEED_2 = ((_SEED_1 * 0x9E3779B1) ^ 0xDEADBEEF) & 0xFFFFFFFF
_PLACE_1, _PLACE_2 = 0x27D4EB2D, 0x165667B1
_LOW_32, _LOW_64 = (1 << 32) - 1, (1 << 64) - 1


def digest(tensor: Tensor, device: str) -> str:
    """The digest of `tensor` that a server on `device` (`cuda` or `cpu`) gives, 16 hexadecimal digits."""
    value = _tile_sum(tensor) if device == "cuda" else _sha256(tensor)
    return f"{value:016x}"


def _sha256(tensor: Tensor) -> int:
    data = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return int.from_bytes(hashlib.sha256(data.numpy().data).digest()[:8], "big")


def _tile_sum(tensor: Tensor) -> int:
    """The GPU's digest, on the device of `tensor`."""
    data = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if data.numel() % 4:
        data = torch.nn.functional.pad(data, (0, 4 - data.numel() % 4))
    words = data.view(torch.int32)
    total = torch.zeros((), dtype=torch.int64, device=words.device)
    step = _CHUNK_TILES * _TILE_WORDS
    for start in range(0, words.numel(), step):
        total += _tile_digests(words[start : start + step], start, words.numel()).sum()
    return _splitmix64(int(total) & _LOW_64)


def _tile_digests(words: Tensor, first: int, count: int) -> Tensor:
    """Digests, int64 with 64 significant bits, of the tiles in `words`, which begin at word `first`."""
    place = torch.arange(first, first + words.numel(), device=words.device)
    value = words.to(torch.int64) & _LOW_32
    sums = []
    for factor, seed, turn in ((_PLACE_1, _SEED_1, 15), (_PLACE_2, _SEED_2, 13)):
        turned = ((place << turn) | (place >> (32 - turn))) & _LOW_32
        mixed = _mix(value ^ ((place * factor + seed) & _LOW_32) ^ turned)
        tiles = torch.nn.functional.pad(mixed, (0, -len(mixed) % _TILE_WORDS)).view(-1, _TILE_WORDS)
        sums.append(_mix((tiles.sum(-1) & _LOW_32) ^ (count * 4 & _LOW_32)))
    return (sums[0] << 32) | sums[1]


def _mix(value: Tensor) -> Tensor:
    """The finaliser of MurmurHash3 for 32 bits, in int64 whose products wrap without harm to the low half."""
    value = value ^ (value >> 16)
    value = (value * 0x85EBCA6B) & _LOW_32
    value = value ^ (value >> 13)
    value = (value * 0xC2B2AE35) & _LOW_32
    return value ^ (value >> 16)


def _splitmix64(value: int) -> int:
    value ^= value >> 30
    value = (value * 0xBF58476D1CE4E5B9) & _LOW_64
    value ^= value >> 27
    value = (value * 0x94D049BB133111EB) & _LOW_64
    return value ^ (value >> 31)
