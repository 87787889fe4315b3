"""From logits that may be split over tensor-parallel ranks to log-probabilities and entropies of tokens."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.tensor_parallel import vocab_parallel_cross_entropy
from torch import Tensor

from training.model.kernels import compiled
from training.objective.losses import entropy, token_logprobs

#: Logits of padded tokens can overflow when divided by a temperature; -inf times probability 0 is NaN.
_LEAST = -1e30


def label_logprobs(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each label under softmax(logits / temperature), with gradient; float32 [...].

    `logits` [..., V / TP] are this rank's columns, `labels` [...] int64 are the same on all TP ranks.
    """
    if parallel_state.get_tensor_model_parallel_world_size() == 1:
        return token_logprobs(logits, labels, temperature)
    # Megatron's function works in place on what it is given; the division makes a copy.
    negative: Tensor = vocab_parallel_cross_entropy(logits.float() / temperature, labels)
    return -negative


@torch.no_grad()
def label_entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of softmax(logits / temperature), without gradient; float32 [...].

    With z = logits / temperature - max: H = log(sum e^z) - sum(z e^z) / sum(e^z), each sum over all TP ranks.
    """
    if parallel_state.get_tensor_model_parallel_world_size() == 1:
        return entropy(logits, temperature)
    group = parallel_state.get_tensor_model_parallel_group()
    scaled = logits.float() / temperature
    highest = scaled.amax(-1, keepdim=True)
    dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=group)
    centred = (scaled - highest).clamp(min=_LEAST)
    weights = centred.exp()
    sums = torch.stack([weights.sum(-1), (centred * weights).sum(-1)])
    dist.all_reduce(sums, group=group)
    return sums[0].log() - sums[1] / sums[0]


def fused_statistics(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """`label_logprobs` and `label_entropy` together, by compiled kernels that read the logits in few passes.

    Takes logits [N, V / TP] and labels [N]. Nothing of the logits' size is kept in float32 in between, and
    the gradient has the logits' type.
    """
    logprobs, entropies = _Statistics.apply(logits, labels, temperature)
    return logprobs, entropies


class _Statistics(torch.autograd.Function):
    """With z = logits / temperature and lse = log sum e^z over all TP ranks: log p = z[label] - lse, of which
    the gradient is (1[label] - e^(z - lse)) / temperature."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        # A label of another rank's columns becomes -1, which no column equals.
        columns = logits.size(-1)
        local = labels - parallel_state.get_tensor_model_parallel_rank() * columns
        local = torch.where((local >= 0) & (local < columns), local, -1)
        highest, total, weighted, picked = _over_ranks(*_compiled(_local_sums)(logits, local, temperature))
        log_sum = highest + total.log()
        ctx.save_for_backward(logits, local, log_sum)
        ctx.temperature = temperature
        entropies = total.log() - weighted / total
        ctx.mark_non_differentiable(entropies)
        return picked - log_sum, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, local, log_sum = ctx.saved_tensors
        return _compiled(_local_gradient)(logits, local, log_sum, gradients[0], ctx.temperature), None, None


@cache
def _compiled(function: Any) -> Any:
    return compiled(function) if torch.cuda.is_available() else function


def _local_sums(logits: Tensor, local: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Over this rank's columns: max z, sum e^(z - max), sum (z - max) e^(z - max), and z at the label or
    0."""
    scaled = logits.float() / temperature
    highest = scaled.amax(-1)
    centred = (scaled - highest[:, None]).clamp(min=_LEAST)
    weights = centred.exp()
    picked = scaled.gather(-1, local.clamp(min=0)[:, None])[:, 0]
    return highest, weights.sum(-1), (centred * weights).sum(-1), torch.where(local >= 0, picked, 0.0)


def _local_gradient(
    logits: Tensor, local: Tensor, log_sum: Tensor, gradient: Tensor, temperature: float
) -> Tensor:
    """Gradient of the labels' log-probabilities with respect to this rank's columns."""
    probabilities = (logits.float() / temperature - log_sum[:, None]).exp()
    at_label = torch.arange(logits.size(-1), device=logits.device) == local[:, None]
    return ((at_label.float() - probabilities) * (gradient / temperature)[:, None]).to(logits.dtype)


def _over_ranks(
    highest: Tensor, total: Tensor, weighted: Tensor, picked: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sums of `_local_sums` over the columns of all tensor-parallel ranks."""
    if parallel_state.get_tensor_model_parallel_world_size() == 1:
        return highest, total, weighted, picked
    group = parallel_state.get_tensor_model_parallel_group()
    mine = highest
    highest = mine.clone()
    dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=group)
    shift = (mine - highest).clamp(min=_LEAST)
    sums = torch.stack([total * shift.exp(), (weighted + total * shift) * shift.exp(), picked])
    dist.all_reduce(sums, group=group)
    return highest, sums[0], sums[1], sums[2]
