"""Padding of the vocabulary, so that the embedding and the output layer divide over tensor-parallel ranks.

Padding lies after the real tokens. Its weights are zero and stay so: no token looks them up, and their
logits are masked, so they get neither probability nor gradient. Hugging Face checkpoints never see it.
"""

from __future__ import annotations

import torch
from megatron.core import parallel_state
from torch import Tensor

_LOWEST = -1e30


def padded_vocab_size(vocab_size: int, tensor_parallel: int, divisible_by: int = 1) -> int:
    """The smallest multiple of `divisible_by` x `tensor_parallel` that holds `vocab_size` tokens."""
    unit = divisible_by * tensor_parallel
    return -(-vocab_size // unit) * unit


def mask_padding(logits: Tensor, vocab_size: int) -> Tensor:
    """Give padded tokens no probability; in place, on this tensor-parallel rank's logits [..., V / TP].

    They get a value far below any logit but not -inf, also when divided by a small temperature: entropies
    multiply logits by probabilities, and -inf x 0 is NaN. Changes nothing where this rank has no padding.
    """
    columns = logits.size(-1)
    real = vocab_size - parallel_state.get_tensor_model_parallel_rank() * columns
    if real < columns:
        logits[..., max(real, 0) :] = max(torch.finfo(logits.dtype).min / 2, _LOWEST)
    return logits
