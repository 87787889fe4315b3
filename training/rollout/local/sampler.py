"""Drawing the next token of every row of a batch, each row from its own random stream.

A row's stream is Philox (a counter-based generator, Salmon et al. 2011) keyed by the request's
seed, one number per position of the response, turned into a token by the inverse of the cumulative
distribution. So a draw does not depend on which other rows are in the batch, nor on their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.rollout.engine import Sampling


class Sampler:
    """The sampling state of a batch: per-row settings and random numbers."""

    def __init__(self, requests: Sequence[Sampling]) -> None:
        """Draw every number that the requests can need."""
        longest = max(request.max_new_tokens for request in requests)
        uniforms = [
            np.random.Generator(np.random.Philox(key=request.seed)).random(longest) for request in requests
        ]
        temperature = torch.tensor([request.temperature for request in requests])
        self._uniforms = torch.from_numpy(np.stack(uniforms))  # [B, longest] float64 in [0, 1)
        self._greedy = temperature == 0
        self._temperature = temperature.masked_fill(self._greedy, 1.0)[:, None]
        self._top_p = torch.tensor([request.top_p for request in requests], dtype=torch.float64)[:, None]
        self._top_k = torch.tensor([request.top_k for request in requests])[:, None]
        self._truncates = any(request.top_p < 1 or request.top_k > 0 for request in requests)

    def keep(self, order: Tensor) -> None:
        """Go on with rows `order` only."""
        self._uniforms, self._greedy = self._uniforms[order], self._greedy[order]
        self._temperature, self._top_p = self._temperature[order], self._top_p[order]
        self._top_k = self._top_k[order]

    def draw(self, logits: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Choose the token at `position` of every response from `logits` [B, V].

        Returns tokens [B] int64 and their log-probabilities [B] float32 under softmax(logits / temperature),
        before truncation (and at temperature 1 for greedy rows).
        """
        logprobs = torch.log_softmax(logits / self._temperature, dim=-1)
        probabilities = logprobs.exp().double()
        if self._truncates:
            probabilities = truncate(probabilities, self._top_p, self._top_k)
        tokens = inverse_cdf(probabilities, self._uniforms[:, position])
        if self._greedy.any():
            tokens = torch.where(self._greedy, logits.argmax(-1), tokens)
        return tokens, logprobs.gather(-1, tokens[:, None]).squeeze(-1)


def inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Index per row of `weights` [B, V] (float64, any total) where the cumulative sum passes u * total.

    An index of weight 0 is never chosen: the sum passes only where it rises, and the target is kept
    below the total even where u * total would round up to it.
    """
    cumulative = weights.cumsum(-1)
    total = cumulative[:, -1]
    if not total.isfinite().all():
        raise WarpsmithError(
            "the model gives no finite probabilities, so its weights are spoilt; begin with another "
            "checkpoint, and lower the learning rate if training made this one"
        )
    target = torch.minimum(uniforms * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target[:, None], right=True).squeeze(-1)


def truncate(probabilities: Tensor, top_p: Tensor, top_k: Tensor) -> Tensor:
    """Zero all but the likeliest tokens: the first `top_k`, and of those the fewest that reach `top_p`.

    `probabilities` [B, V], `top_p` and `top_k` [B, 1]; a `top_k` below 1 is off. The result is not
    normalised.
    """
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(probabilities.shape[-1])
    ranked = ranked.masked_fill((top_k > 0) & (rank >= top_k), 0.0)
    before = ranked.cumsum(-1) - ranked
    ranked = ranked.masked_fill(before >= top_p * ranked.sum(-1, keepdim=True), 0.0)
    return torch.zeros_like(probabilities).scatter(-1, order, ranked)
