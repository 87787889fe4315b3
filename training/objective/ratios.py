"""Ratios of probabilities under two policies, by token and by whole sequence.

The ratio of a sequence is the geometric mean of its tokens' ratios (GSPO, 2507.18071): the exponential of the
mean of their log-ratios over the tokens that are learnt. A loss is computed for a few tokens at a time, so
what it needs of whole sequences is added to all their tokens beforehand, by `with_sequence_means`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from training.objective.batch import OLD, ROLLOUT, Tokens

#: Bound of log-ratios before exp, so that one absurd token cannot turn a whole loss into inf or NaN.
LOG_RATIO_LIMIT = 20.0
#: Names of `Tokens.sequence_means`: log-ratios of the policy in training to the old one, and of that to the
#: engine's.
RATIO, MISMATCH = "ratio", "mismatch"


def log_ratio(numerator: Tensor, denominator: Tensor, mask: Tensor) -> Tensor:
    """Difference of log-probabilities, 0 where masked (padding may hold anything) and bounded."""
    difference = (numerator.float() - denominator.float()).masked_fill(~mask, 0.0)
    return difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


@torch.no_grad()
def with_sequence_means(logprobs: Tensor, tokens: Tokens) -> Tokens:
    """The tokens with their sequences' mean log-ratios; they must hold all tokens of those sequences.

    `logprobs` [N] are the policy's in training. It is the old one too where `tokens` have none of that.
    """
    old = tokens.logprobs.get(OLD, logprobs)
    means = {RATIO: _sequence_mean(log_ratio(logprobs, old, tokens.mask), tokens)}
    if ROLLOUT in tokens.logprobs:
        mismatch = log_ratio(old, tokens.logprobs[ROLLOUT], tokens.mask)
        means[MISMATCH] = _sequence_mean(mismatch, tokens)
    return replace(tokens, sequence_means=means)


def _sequence_mean(values: Tensor, tokens: Tokens) -> Tensor:
    """At each token the mean of `values` [N], 0 where masked, over its sequence's learnt tokens."""
    if not len(values):
        return values
    sums = values.new_zeros(int(tokens.sequences.max()) + 1).index_add(0, tokens.sequences, values)
    return sums[tokens.sequences] / tokens.response_lengths
