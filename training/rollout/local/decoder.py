"""A lean forward pass with a key-value cache, for decoding on one CPU thread.

Small models on a CPU spend their time between the matrix multiplications: in Python, in the many
small kernels and in copies of a growing cache. So the weights of q, k, v and of gate, up are fused,
the cache is allocated once, and a prompt's n samples share one prefill. There is nothing else: no
gradients, no sharding, float32 throughout. Tests hold it to the logits of transformers, for
all families of `training.model.families`.

Shapes: B rows, S new positions, T cached positions, H hidden, N query heads, K key-value heads,
G = N / K query heads per key-value head, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.model.rotary import inverse_frequencies, sliding_frequencies
from training.settings.architecture import Architecture

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one transformer layer, fused for decoding; matrices are [out, in]."""

    input_norm: Tensor  #: [H]
    qkv: Tensor  #: [(N + 2 K) D, H]
    qkv_bias: Tensor | None  #: [(N + 2 K) D]
    head_norm: Tensor | None
    """[N + K, D], the q weight for each query head, then the k weight for each key head."""
    output: Tensor  #: [H, N D]
    output_norm: Tensor | None  #: [H], after attention
    mlp_norm: Tensor  #: [H]
    gate_up: Tensor  #: [2 F, H]
    down: Tensor  #: [H, F]
    down_norm: Tensor | None  #: [H], after the feed-forward layer
    local: bool  #: whether it sees the last tokens only


@dataclass(frozen=True, slots=True)
class View:
    """What new positions see, and how they and their keys are turned."""

    cos: Tensor  #: [B, S, 1, D]
    sin: Tensor  #: [B, S, 1, D]
    mask: Tensor
    """[B, 1, G*S, T], 0 or -inf."""


@dataclass(slots=True)
class Cache:
    """Keys and values of rows that all end at the same column; shorter prompts are padded on the left."""

    keys_values: Tensor
    """[layers, 2, B, K, T_max, D]; key and value of every position so far, then free space."""
    mask: Tensor
    """[B, T_max], 0 where a position may be attended to, -inf at the padding on the left."""
    starts: Tensor
    """[B], the column of a row's first token, which is its position 0."""
    length: int
    """Columns in use."""

    def repeat(self, rows: Tensor, capacity: int) -> Cache:
        """A cache that holds row `rows[i]` of this one as its row i, with room for `capacity` columns."""
        layers, two, _, heads, _, width = self.keys_values.shape
        keys_values = self.keys_values.new_empty(layers, two, len(rows), heads, capacity, width)
        keys_values[..., : self.length, :] = self.keys_values[:, :, rows, :, : self.length]
        mask = F.pad(self.mask[rows, : self.length], (0, capacity - self.length))
        return Cache(keys_values, mask, self.starts[rows], self.length)

    def keep(self, order: Tensor) -> None:
        """Reduce the rows to `order`, in which row i is either i itself or a row beyond the end of `order`.

        Only the rows that move are copied, so dropping one finished row of many is cheap.
        """
        moved = (order != torch.arange(len(order))).nonzero().squeeze(-1)
        self.keys_values[:, :, moved, :, : self.length] = self.keys_values[
            :, :, order[moved], :, : self.length
        ]
        self.keys_values = self.keys_values[:, :, : len(order)]
        self.mask, self.starts = self.mask[order], self.starts[order]


class Decoder:
    """The weights of a dense model and the two passes that decoding needs."""

    def __init__(self, architecture: Architecture, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Copy and fuse named tensors (Hugging Face names, any float dtype) into float32 weights.

        Raises WarpsmithError if a tensor is missing, unknown or of the wrong shape.
        """
        self._shape = architecture
        weights = _checked_weights(architecture, tensors)
        self._embedding = weights["model.embed_tokens.weight"]
        self._head = self._embedding if architecture.tied else weights["lm_head.weight"]
        final_norm = weights["model.norm.weight"]
        self._final_norm = 1.0 + final_norm if architecture.family.zero_centred_norms else final_norm
        self._layers = [_fuse(architecture, weights, index) for index in range(architecture.num_layers)]
        self._frequencies = inverse_frequencies(architecture)
        self._local_frequencies = sliding_frequencies(architecture)
        self._scale = architecture.hidden_size**0.5 if architecture.family.scaled_embedding else 1.0
        self._activation = _ACTIVATIONS[architecture.family.activation]

    def prefill(self, prompts: list[list[int]]) -> tuple[Tensor, Cache]:
        """Run the prompts; returns the logits [B, V] of what follows, and their cache without spare room."""
        width = max(map(len, prompts))
        starts = torch.tensor([width - len(prompt) for prompt in prompts])
        tokens = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        padding = torch.arange(width) < starts[:, None]
        mask = torch.zeros(len(prompts), width).masked_fill(padding, -torch.inf)
        shape = self._shape
        keys_values = torch.empty(
            shape.num_layers, 2, len(prompts), shape.num_kv_heads, width, shape.head_dim
        )
        cache = Cache(keys_values, mask, starts, 0)
        return self._forward(tokens, cache), cache

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Append one token per row, `tokens` [B], to the cache; returns the logits [B, V] of what follows."""
        return self._forward(tokens[:, None], cache)

    def _forward(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Append `tokens` [B, S] to the cache; returns the logits [B, V] after the last of them."""
        first, last = cache.length, cache.length + tokens.shape[1]
        columns = torch.arange(first, last)
        views = self._views(columns, cache, last)
        cache.length = last
        hidden = self._embedding[tokens]
        hidden = hidden if self._scale == 1 else hidden * self._scale
        for layer, keys_values in zip(self._layers, cache.keys_values, strict=True):
            normed = self._norm(hidden, layer.input_norm)
            attended = self._attention(layer, normed, keys_values, first, views[layer.local])
            hidden = hidden + self._norm(attended, layer.output_norm)
            normed = self._norm(hidden, layer.mlp_norm)
            gate, up = F.linear(normed, layer.gate_up).chunk(2, dim=-1)
            output = F.linear(self._activation(gate) * up, layer.down)
            hidden = hidden + self._norm(output, layer.down_norm)
        return F.linear(self._norm(hidden[:, -1], self._final_norm), self._head)

    def _views(self, columns: Tensor, cache: Cache, last: int) -> list[View]:
        """That of layers that see everything, and that of layers with a window if there are any."""
        positions = columns - cache.starts[:, None]
        mask = self._attention_mask(columns, cache.mask[:, :last])
        views = [View(*_rotation(positions, self._frequencies), mask)]
        sliding = self._shape.sliding
        if sliding is not None and self._local_frequencies is not None:
            if last > sliding.window:
                hidden = columns[:, None] - torch.arange(last) >= sliding.window
                group = self._shape.num_heads // self._shape.num_kv_heads
                mask = mask.masked_fill(hidden.repeat(group, 1), -torch.inf)
            views.append(View(*_rotation(positions, self._local_frequencies), mask))
        return views

    def _attention(
        self,
        layer: Layer,
        hidden: Tensor,
        keys_values: Tensor,
        first: int,
        view: View,
    ) -> Tensor:
        """Self-attention of the new positions [B, S, H] over themselves and the cache [2, B, K, T_max, D]."""
        rows, new, _ = hidden.shape
        heads, kv_heads, width = self._shape.num_heads, self._shape.num_kv_heads, self._shape.head_dim
        states = F.linear(hidden, layer.qkv, layer.qkv_bias).view(rows, new, heads + 2 * kv_heads, width)
        query_key = states[:, :, : heads + kv_heads]
        if layer.head_norm is not None:
            query_key = self._rms(query_key) * layer.head_norm
        query_key = query_key * view.cos + _rotate_half(query_key) * view.sin
        last = first + new
        keys_values[0, :, :, first:last] = query_key[:, :, heads:].transpose(1, 2)
        keys_values[1, :, :, first:last] = states[:, :, heads + kv_heads :].transpose(1, 2)
        # The G query heads of a key-value head become G*S queries of one head: no copies of keys and values.
        query = query_key[:, :, :heads].unflatten(2, (kv_heads, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)
        keys, values = keys_values[:, :, :, :last]
        attended = F.scaled_dot_product_attention(
            query, keys, values, attn_mask=view.mask, scale=self._shape.softmax_scale
        )
        attended = attended.unflatten(2, (-1, new)).permute(0, 3, 1, 2, 4).reshape(rows, new, heads * width)
        return F.linear(attended, layer.output)

    def _attention_mask(self, columns: Tensor, padding: Tensor) -> Tensor:
        """Additive mask [B, 1, G*S, T]: new columns see what lies before them and is not padding.

        Padding sees itself, because a softmax over nothing is NaN.
        """
        group = self._shape.num_heads // self._shape.num_kv_heads
        if len(columns) == 1:
            return padding[:, None, None].expand(-1, 1, group, -1)
        future = columns[:, None] < torch.arange(padding.shape[1])
        mask = padding[:, None].masked_fill(future, -torch.inf)
        mask.diagonal(dim1=1, dim2=2).zero_()
        return mask.repeat(1, group, 1)[:, None]

    def _norm(self, hidden: Tensor, weight: Tensor | None) -> Tensor:
        """Normalised, where there is a norm."""
        return hidden if weight is None else F.rms_norm(hidden, weight.shape, weight, self._shape.norm_eps)

    def _rms(self, states: Tensor) -> Tensor:
        return F.rms_norm(states, states.shape[-1:], None, self._shape.norm_eps)


def _rotation(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, S, 1, D] of the rotary embedding (2104.09864) at `positions` [B, S]."""
    angles = positions[..., None].float() * frequencies
    angles = torch.cat((angles, angles), dim=-1)[:, :, None]
    return angles.cos(), angles.sin()


def _rotate_half(states: Tensor) -> Tensor:
    """(a, b) -> (-b, a) on the halves of the last dimension, as Hugging Face lays out rotary pairs."""
    first, second = states.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def _fuse(shape: Architecture, weights: dict[str, Tensor], index: int) -> Layer:
    """Layer `index` of the named weights."""
    prefix = f"model.layers.{index}."
    layer = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    if shape.family.zero_centred_norms:
        layer = {name: 1.0 + tensor if "norm" in name else tensor for name, tensor in layer.items()}
    post_norms = shape.family.post_norms
    mlp_norm = "pre_feedforward_layernorm" if post_norms else "post_attention_layernorm"
    bias = (
        torch.cat([layer[f"self_attn.{part}_proj.bias"] for part in "qkv"]) if shape.family.qkv_bias else None
    )
    return Layer(
        input_norm=layer["input_layernorm.weight"],
        qkv=torch.cat([layer[f"self_attn.{part}_proj.weight"] for part in "qkv"]),
        qkv_bias=bias,
        head_norm=_head_norm(shape, layer) if shape.family.qk_norm else None,
        output=layer["self_attn.o_proj.weight"],
        output_norm=layer["post_attention_layernorm.weight"] if post_norms else None,
        mlp_norm=layer[f"{mlp_norm}.weight"],
        gate_up=torch.cat((layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"])),
        down=layer["mlp.down_proj.weight"],
        down_norm=layer["post_feedforward_layernorm.weight"] if post_norms else None,
        local=shape.windows[index] is not None,
    )


def _head_norm(shape: Architecture, layer: dict[str, Tensor]) -> Tensor:
    q_norm = layer["self_attn.q_norm.weight"].expand(shape.num_heads, -1)
    k_norm = layer["self_attn.k_norm.weight"].expand(shape.num_kv_heads, -1)
    return torch.cat((q_norm, k_norm))


def _checked_weights(shape: Architecture, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Own float32 copies of exactly the tensors that the architecture has."""
    expected = shape.weight_shapes()
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if name == "lm_head.weight" and shape.tied:
            continue
        if name not in expected:
            raise WarpsmithError(
                f"tensor {name} is not part of the model that {shape.source} describes; "
                "the weights and the config belong to different models"
            )
        if tuple(tensor.shape) != expected[name]:
            raise WarpsmithError(
                f"tensor {name} has shape {tuple(tensor.shape)} where config.json says {expected[name]}; "
                "the weights and the config belong to different models"
            )
        weights[name] = tensor.detach().to("cpu", torch.float32, copy=True)
    missing = sorted(expected.keys() - weights.keys())
    if missing:
        raise WarpsmithError(
            f"tensor {missing[0]} is missing ({len(missing)} in all); the weights are incomplete"
        )
    return weights
