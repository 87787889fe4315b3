"""The tensors that Megatron fuses: q, k and v, interleaved by query group, and the two halves of SwiGLU.

All of it only moves numbers, so the way there and back is bit-exact; whole tensors and one tensor-parallel
rank's share of them go the same way.

Shapes: H hidden size, D head width, G key/value heads, R = query heads / G, F feed-forward width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.model.families.base import Weight
from training.settings.architecture import Architecture


def join(architecture: Architecture, parts: Sequence[Tensor]) -> Tensor:
    """Megatron's tensor of its parts, all whole or all one TP rank's share."""
    if len(parts) == 3:
        return _join_qkv(architecture, *parts)
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def separate(architecture: Architecture, weight: Weight, value: Tensor) -> tuple[Tensor, ...]:
    """The inverse of `join`: the parts of Megatron's tensor `value`, views or copies."""
    if len(weight.parts) == 3:
        return _separate_qkv(architecture, value)
    return value.chunk(len(weight.parts))


def _join_qkv(architecture: Architecture, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [G*R*D, ...], k and v [G*D, ...] -> [G*(R+2)*D, ...]: group by group queries, key, value."""
    width = architecture.head_dim
    groups = k.size(0) // width
    return torch.cat([x.unflatten(0, (groups, -1, width)) for x in (q, k, v)], dim=1).flatten(0, 2)


def _separate_qkv(architecture: Architecture, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `_join_qkv`."""
    per_group = architecture.num_heads // architecture.num_kv_heads
    grouped = qkv.unflatten(0, (-1, per_group + 2, architecture.head_dim))
    q, k, v = grouped.split([per_group, 1, 1], dim=1)
    return q.flatten(0, 2), k.flatten(0, 2), v.flatten(0, 2)
