"""Self-attention: Megatron's projections around PyTorch's scaled dot-product attention.

Megatron's own core needs CUDA buffers or Transformer Engine. Ours is causal and knows two layouts (see
batch.py): padded rows, which need no mask, and a packed row, whose sequences must not see each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from training.model.kernels import Rotate
from training.objective.batch import Packing

#: cuDNN's kernels are the fastest on Hopper, but it prepares one for every new shape, which takes tens of
#: milliseconds; so it gets only lengths that are a multiple of this, which come again.
_CUDNN_LENGTHS = 256
_FLASH_FIRST = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_CUDNN_FIRST = [SDPBackend.CUDNN_ATTENTION, *_FLASH_FIRST]


def packed_parameters(packing: Packing) -> PackedSeqParams:
    """`packing` as Megatron carries it to the attention core, through recomputation too.

    Its format is not Megatron's "thd": the row keeps its batch dimension, and positions come with the rotary
    embeddings.
    """
    ends, longest = packing.boundaries, packing.longest
    return PackedSeqParams(
        qkv_format="sbhd",
        cu_seqlens_q=ends,
        cu_seqlens_kv=ends,
        max_seqlen_q=longest,
        max_seqlen_kv=longest,
    )


class RotaryAttention(SelfAttention):
    """Megatron's self-attention with rotary embeddings by a kernel of choice.

    `rotary_pos_emb` are the cosines and sines [N, 2, S, B or 1, 1, D] in the type of the activations,
    computed once for all layers; those with a window use the second of them.
    """

    def __init__(self, *args: Any, rotate: Rotate, windows: Sequence[int | None] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rotate = rotate
        self._table = 1 if windows and windows[self.layer_number - 1] else 0

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None,
        *,
        rotary_pos_emb: Tensor,
        packed_seq_params: PackedSeqParams | None = None,
        **_: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """From hidden states [S, B, H] to the attention's output [S, B, H] and its bias."""
        query, key, value = self.get_query_key_value_tensors(hidden_states)
        query, key = self._rotate(query, key, *rotary_pos_emb[self._table])
        recompute = self.checkpoint_core_attention and self.training
        core = self._checkpointed_attention_forward if recompute else self.core_attention
        context = core(query, key, value, attention_mask, packed_seq_params=packed_seq_params)
        output, bias = self.linear_proj(context)
        return output, bias


class CausalAttention(nn.Module):
    """Megatron's `core_attention` over scaled_dot_product_attention: causal, grouped queries, no dropout.

    A layer may have a window: its tokens see that many of the last ones, themselves included.
    """

    def __init__(
        self,
        config: TransformerConfig,
        softmax_scale: float | None = None,
        *,
        layer_number: int = 1,
        windows: Sequence[int | None] = (None,),
        **_: Any,
    ) -> None:
        """`windows` are those of all layers, of which this is number `layer_number`, counted from 1."""
        super().__init__()
        self.softmax_scale = softmax_scale
        self._window = windows[layer_number - 1]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
        *,
        packed_seq_params: PackedSeqParams | None = None,
        **_: Any,
    ) -> Tensor:
        """Attend: query [S, B, heads, D], key and value [S, B, groups, D] give [S, B, heads * D]."""
        if attention_mask is not None:
            raise ValueError("batches are causal, padded or packed; they take no attention mask")
        if packed_seq_params is None:
            q, k, v = (x.permute(1, 2, 0, 3) for x in (query, key, value))
            return self._attend(q, k, v).permute(2, 0, 1, 3).flatten(2)
        q, k, v = (x.squeeze(1) for x in (query, key, value))
        return self._attend_packed(q, k, v, packed_seq_params).flatten(1).unsqueeze(1)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All of [B, heads, S, D] by the fastest kernel."""
        band = self._band(query.size(2), query.device)
        with _backends(query):
            return F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=band,
                is_causal=band is None,
                scale=self.softmax_scale,
                enable_gqa=query.size(1) != key.size(1),
            )

    def _attend_packed(self, query: Tensor, key: Tensor, value: Tensor, packed: PackedSeqParams) -> Tensor:
        """All of [S, heads, D], of which the sequences do not see each other."""
        boundaries, longest = packed.cu_seqlens_q, packed.max_seqlen_q
        window = self._window if self._window is not None and self._window < longest else None
        banded = query.is_cuda and window is not None and _knows_windows()
        if longest * (len(boundaries) - 1) == len(query) and not banded:  # all of the same length: a batch
            batch = [x.unflatten(0, (-1, longest)).transpose(1, 2) for x in (query, key, value)]
            return self._attend(*batch).transpose(1, 2).flatten(0, 1)
        if query.is_cuda and (window is None or banded):
            return _variable_length(query, key, value, boundaries, longest, self.softmax_scale, window)
        lengths = boundaries.diff().tolist()
        parts = zip(*(x.split(lengths) for x in (query, key, value)), strict=True)
        return torch.cat(
            [self._attend(*(x.transpose(0, 1)[None] for x in part))[0].transpose(0, 1) for part in parts]
        )

    def _band(self, length: int, device: torch.device) -> Tensor | None:
        """What sees what [S, S]; None if every token sees all before it."""
        if self._window is None or length <= self._window:
            return None
        return _band(length, self._window, device)


@lru_cache(maxsize=4)
def _band(length: int, window: int, device: torch.device) -> Tensor:
    positions = torch.arange(length, device=device)
    distance = positions[:, None] - positions
    return (distance >= 0) & (distance < window)


@contextmanager
def _backends(query: Tensor) -> Iterator[None]:
    """Within it, PyTorch chooses the attention kernels for `query` [B, heads, S, D] in our order."""
    if not query.is_cuda:
        yield
        return
    recurring = query.size(2) % _CUDNN_LENGTHS == 0
    with sdpa_kernel(_CUDNN_FIRST if recurring else _FLASH_FIRST, set_priority=True):
        yield


def _variable_length(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    boundaries: Tensor,
    longest: int,
    scale: float | None,
    window: int | None,
) -> Tensor:
    """Causal attention within the sequences of a packed row, by flash attention's kernel for that."""
    from torch.nn.attention.varlen import varlen_attn

    known = _parameters_of(varlen_attn)
    before = -1 if window is None else window - 1
    options: dict[str, Any] = {"window_size": (before, 0)} if _knows_windows() else {"is_causal": True}
    if "scale" in known:
        options["scale"] = scale
    if "enable_gqa" in known:
        options["enable_gqa"] = query.size(1) != key.size(1)
    attended: Any = varlen_attn(query, key, value, boundaries, boundaries, longest, longest, **options)
    output: Tensor = attended
    return output


def _knows_windows() -> bool:
    """Whether this PyTorch's kernel for variable lengths takes a window."""
    from torch.nn.attention.varlen import varlen_attn

    return "window_size" in _parameters_of(varlen_attn)


@cache
def _parameters_of(function: Any) -> frozenset[str]:
    """Names of a function's parameters; varlen_attn gained some with each version of PyTorch."""
    return frozenset(inspect.signature(function).parameters)
