"""From logits that may be split over tensor-parallel ranks to log-probabilities and entropies of tokens."""

from __future__ import annotations

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.tensor_parallel import vocab_parallel_cross_entropy
from torch import Tensor

from training.losses import entropy, token_logprobs


def label_logprobs(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each label under softmax(logits / temperature), with gradient; float32 [B, S].

    `logits` [B, S, V / TP] are this rank's columns, `labels` [B, S] int64 are the same on all TP ranks.
    """
    if parallel_state.get_tensor_model_parallel_world_size() == 1:
        return token_logprobs(logits, labels, temperature)
    # Megatron's function works in place on what it is given; the division makes a copy.
    negative: Tensor = vocab_parallel_cross_entropy(logits.float() / temperature, labels)
    return -negative


@torch.no_grad()
def label_entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of softmax(logits / temperature), without gradient; float32 [B, S].

    With z = logits / temperature - max: H = log(sum e^z) - sum(z e^z) / sum(e^z), each sum over all TP ranks.
    """
    if parallel_state.get_tensor_model_parallel_world_size() == 1:
        return entropy(logits, temperature)
    group = parallel_state.get_tensor_model_parallel_group()
    scaled = logits.float() / temperature
    highest = scaled.amax(-1, keepdim=True)
    dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=group)
    centred = scaled - highest
    weights = centred.exp()
    sums = torch.stack([weights.sum(-1), (centred * weights).sum(-1)])
    dist.all_reduce(sums, group=group)
    return sums[0].log() - sums[1] / sums[0]
