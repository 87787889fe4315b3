"""Where each Hugging Face tensor lies in Megatron's model: fusions, and what TP divides.

Names are the families' (`training.model.families`).

Megatron fuses q, k and v (interleaved by query group) and the two halves of SwiGLU, and splits matrices over
tensor-parallel ranks (TP). All of it only moves numbers, so the way there and back is bit-exact.

Shapes: H hidden size, D head width, G key/value heads, R = query heads / G, F feed-forward width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.model.families.base import EMBEDDING, FINAL_NORM, HEAD, Weight
from training.settings.architecture import Architecture

VOCABULARY = (EMBEDDING, HEAD)  #: what has a row for every token, and rows of padding after them


def hf_layer_name(index: int, part: str) -> str:
    """Hugging Face name of a tensor of layer `index`, counted from 0."""
    return f"model.layers.{index}.{part}"


@dataclass(frozen=True)
class Block:
    """Neighbouring tensors of a model, such as those of one layer: what is converted at a time."""

    layer: int | None
    """The layer, counted from 0; none for what lies before and after the layers."""
    weights: tuple[Weight, ...]
    """Its tensors."""

    def hf_name(self, part: str) -> str:
        """Full Hugging Face name of a part of one of them."""
        return part if self.layer is None else hf_layer_name(self.layer, part)


def blocks(architecture: Architecture) -> list[Block]:
    """All tensors of a model, from the embedding to the output layer."""
    layers = [Block(index, architecture.family.layer) for index in range(architecture.num_layers)]
    last = (FINAL_NORM,) if architecture.tied else (FINAL_NORM, HEAD)
    return [Block(None, (EMBEDDING,)), *layers, Block(None, last)]


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
