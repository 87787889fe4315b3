"""Where each Hugging Face tensor lies in Megatron's model: names, fusions, and what TP divides.

Megatron fuses q, k and v (interleaved by query group) and the two halves of SwiGLU, and splits matrices over
tensor-parallel ranks (TP). All of it only moves numbers, so the way there and back is bit-exact.

Shapes: H hidden size, D head width, G key/value heads, R = query heads / G, F feed-forward width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.settings.architecture import Architecture


@dataclass(frozen=True)
class Weight:
    """One of Megatron's tensors and the Hugging Face tensors that it is made of."""

    parameter: str
    """Name in the live model; for one of a layer's, the name within the layer."""
    key: str
    """Name in a torch_dist checkpoint, which is the same for every layer specification."""
    parts: tuple[str, ...]
    """Hugging Face names: one; gate and up; or q, k and v."""
    split: int | None
    """The dimension of each part that is divided over TP ranks; none where every rank has all of it."""


def _single(parameter: str, key: str, part: str, split: int | None) -> Weight:
    return Weight(parameter, key, (part,), split)


_EMBEDDING_NAME = "embedding.word_embeddings.weight"
EMBEDDING = _single(_EMBEDDING_NAME, _EMBEDDING_NAME, "model.embed_tokens.weight", 0)
FINAL_NORM = _single(
    "decoder.final_layernorm.weight", "decoder.final_layernorm.weight", "model.norm.weight", None
)
HEAD = _single("output_layer.weight", "output_layer.weight", "lm_head.weight", 0)
VOCABULARY = (EMBEDDING, HEAD)  #: what has a row for every token, and rows of padding after them


def layer_weights(architecture: Architecture) -> tuple[Weight, ...]:
    """The tensors of each layer, named within the layer."""
    attention, mlp = "self_attention", "mlp"
    qkv, fc1 = f"{attention}.linear_qkv", f"{mlp}.linear_fc1"
    weights = [
        _single("input_layernorm.weight", f"{qkv}.layer_norm_weight", "input_layernorm.weight", None),
        Weight(f"{qkv}.weight", f"{qkv}.weight", _qkv("weight"), 0),
        _same_name(f"{attention}.linear_proj.weight", "self_attn.o_proj.weight", 1),
        _single(
            "pre_mlp_layernorm.weight", f"{fc1}.layer_norm_weight", "post_attention_layernorm.weight", None
        ),
        Weight(f"{fc1}.weight", f"{fc1}.weight", ("mlp.gate_proj.weight", "mlp.up_proj.weight"), 0),
        _same_name(f"{mlp}.linear_fc2.weight", "mlp.down_proj.weight", 1),
    ]
    if architecture.qkv_bias:
        weights.append(Weight(f"{qkv}.bias", f"{qkv}.bias", _qkv("bias"), 0))
    if architecture.qk_norm:
        weights += [
            _same_name(f"{attention}.{part}_layernorm.weight", f"self_attn.{part}_norm.weight", None)
            for part in "qk"
        ]
    return tuple(weights)


def _same_name(name: str, part: str, split: int | None) -> Weight:
    return _single(name, name, part, split)


def _qkv(kind: str) -> tuple[str, ...]:
    return tuple(f"self_attn.{part}_proj.{kind}" for part in "qkv")


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
    layers = [Block(index, layer_weights(architecture)) for index in range(architecture.num_layers)]
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
