"""How near training comes to what its devices can do: model FLOPs utilisation (MFU, 2204.02311), and memory.

    MFU = FLOPs that the model needs / (seconds x processes x FLOP/s of a large matrix product, measured here)

The model needs, for T tokens in sequences of S, each of N weights in matrix products (the output layer's too,
the embedding's not) and L layers with attention of width heads x head_dim:

    6 T N + 6 T S heads head_dim L

2 of the 6 are the forward pass, 4 the gradients of inputs and weights; attention's are those of its two
products over the half of all positions that a causal mask leaves. Weights that are frozen under adapters have
no gradient: 4 T N, and 6 for the adapters' own. Only what is trained on counts: neither recomputation nor
passes that only score, though they take time.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from functools import cache

import torch
import torch.distributed as dist

from evaluation.timing.peaks import product_rate
from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings
from training.settings.sizes import adapter_weights, attended_width, product_weights

_MATRIX, _REPEATS = 384, 5
"""Size of the product that is measured on a CPU, and how often."""


def training_flops(architecture: Architecture, megatron: MegatronSettings, lengths: Iterable[int]) -> float:
    """FLOPs that a step on sequences of these lengths needs, by the formula above."""
    weights, width = product_weights(architecture), attended_width(architecture)
    each = 6 * weights
    if megatron.lora_rank:
        each = 4 * weights + 6 * adapter_weights(architecture, megatron)
    return float(sum(length * (each + 6 * length * width) for length in lengths))


@cache
def peak_rate(dtype: torch.dtype) -> float:
    """FLOP/s of a large product of this process's device, measured once; on a CPU with the threads it has."""
    if torch.cuda.is_available():
        return float(product_rate(dtype))
    left, right = (torch.randn(_MATRIX, _MATRIX, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_REPEATS):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return float(2 * _MATRIX**3 / best)


def speed_metrics(flops: float, seconds: float, peak: float) -> dict[str, float]:
    """`perf/mfu` and `perf/memory_peak_gib` of a step; `peak` is one process's."""
    mfu = flops / (max(seconds, 1e-9) * dist.get_world_size() * peak)
    return {"perf/mfu": mfu, "perf/memory_peak_gib": _memory_peak()}


def _memory_peak() -> float:
    """Most GPU memory that this process held since the last call, in GiB; on a CPU, most memory so far."""
    if not torch.cuda.is_available():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak
