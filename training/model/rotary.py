"""The frequencies of rotary embeddings (2104.09864), with Llama 3.1's scaling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.model.families.rope import RopeScaling
from training.settings.architecture import Architecture


def inverse_frequencies(architecture: Architecture) -> Tensor:
    """Radians per position of each pair of channels, float32 [head_dim / 2], from fast to slow."""
    frequencies = _frequencies(architecture.rope_theta, architecture.head_dim)
    scaling = architecture.rope_scaling
    return frequencies if scaling is None else _stretched(frequencies, scaling)


def sliding_frequencies(architecture: Architecture) -> Tensor | None:
    """The same of the layers with a sliding window, if there are any."""
    sliding = architecture.sliding
    return None if sliding is None else _frequencies(sliding.rope_theta, architecture.head_dim)


def _frequencies(theta: float, head_dim: int) -> Tensor:
    return 1.0 / theta ** (torch.arange(0, head_dim, 2).float() / head_dim)


def _stretched(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Frequencies as Llama 3.1 stretches them for long contexts (transformers' `rope_type` "llama3").

    Waves shorter than original / high_freq_factor stay; those longer than original / low_freq_factor are
    slowed down by `factor`; those between are blended.
    """
    wavelengths = 2 * math.pi / frequencies
    turns = scaling.original_max_positions / wavelengths
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = (turns - low) / (high - low)
    slow = frequencies / scaling.factor
    blended = (1 - share) * slow + share * frequencies
    longest, shortest = scaling.original_max_positions / low, scaling.original_max_positions / high
    return torch.where(wavelengths > longest, slow, torch.where(wavelengths < shortest, frequencies, blended))
