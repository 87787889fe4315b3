"""The losses of SFT and GRPO, as sums that add up exactly over micro-batches and ranks.

Every loss here is a sum over tokens divided by a normaliser that the caller computes once for the
whole minibatch (`loss_normalizer`). So the losses and gradients of any split into micro-batches or
data-parallel ranks add up to those of the minibatch in one piece; nothing is averaged twice.
Metrics follow the same rule: they are sums over response tokens, to be added up and divided by the
metric `tokens`.

Shapes: losses take tokens in any shape, written [N] below, and any subset of a minibatch's, for every token
brings all that its loss needs. V is the vocabulary; `labels[n]` is the token that `logits[n]` predicts;
`mask` is 1 at response tokens (as labels) and 0 at prompt and padding.

Formulas: GRPO (DeepSeekMath, 2402.03300); clip-higher and token-mean (DAPO, 2503.14476); constant
normaliser (Dr.GRPO, 2503.20783); dual clip (1912.09729); ratios by sequence (GSPO, 2507.18071); clipped
weights (CISPO, 2506.13585); KL estimators k1, k2, k3 (Schulman, "Approximating KL divergence", 2020);
truncated importance sampling as in slime and verl; rejection by token (IcePop, 2510.18855) and by sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.objective.ratios import MISMATCH, RATIO, log_ratio
from training.settings.optimization import Aggregation, GrpoSettings, Kl, PolicyLoss


@dataclass(frozen=True, slots=True)
class LossOutput:
    """A loss to call `backward` on, and what to log about it."""

    loss: Tensor
    """float32 scalar: this micro-batch's share of the minibatch loss."""
    metrics: dict[str, Tensor]
    """Detached float32 scalars: sums over response tokens, and their number as `tokens`."""


def token_logprobs(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each label under softmax(logits / temperature).

    `logits` [N, V] in any float dtype, `labels` [N] int64; returns float32 [N]. Labels at masked positions
    must be valid token ids, whatever they are.
    """
    logprobs = torch.log_softmax(logits.float() / temperature, dim=-1)
    picked: Tensor = logprobs.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return picked


@torch.no_grad()
def entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of softmax(logits / temperature), float32 [N]; a metric, so without gradient."""
    logprobs = torch.log_softmax(logits.float() / temperature, dim=-1)
    entropies: Tensor = torch.special.entr(logprobs.exp()).sum(-1)
    return entropies


def loss_normalizer(lengths: Sequence[int], aggregation: Aggregation, max_new_tokens: int) -> float:
    """What the sums of a whole minibatch are divided by, given the lengths of all its responses.

    The minibatch is everything between two optimizer steps, over all micro-batches and ranks. An
    empty one gives 1, so that its zero loss stays zero.
    """
    if aggregation is Aggregation.TOKEN_MEAN:
        total = sum(lengths)
    elif aggregation is Aggregation.SEQUENCE_MEAN:
        total = len(lengths)
    else:
        total = max_new_tokens * len(lengths)
    return float(max(total, 1))


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    settings: GrpoSettings,
    *,
    normalizer: float,
    response_lengths: Tensor | None = None,
    rollout_logprobs: Tensor | None = None,
    ref_logprobs: Tensor | None = None,
    entropies: Tensor | None = None,
    sequence_means: Mapping[str, Tensor] | None = None,
) -> LossOutput:
    """Clipped policy-gradient loss of one micro-batch, with KL and importance weights where configured.

    With rho = exp(logp - logp_old), a token's loss is max(-A rho, -A clip(rho, 1 - clip_low, 1 + clip_high)),
    for A < 0 at most -A dual_clip; times min(exp(logp_old - logp_rollout), importance_cap); plus
    kl_coefficient * KL(logp, logp_ref). GSPO's rho is the sequence's geometric mean: a token's share of its
    gradient, 1 / length, comes through its own log-probability. CISPO's loss is -A sg(clip(rho)) logp. What
    is rejected has no loss at all.

    Args:
        logprobs: [N] of the policy in training, with gradient.
        old_logprobs: [N] of the policy as it was when the responses were drawn, by the trainer; none where
            that is the policy in training, whose own are taken.
        advantages: [N], that of each token's sequence; anything that broadcasts.
        mask: [N], 1 (or True) at response tokens.
        settings: clipping, aggregation, KL and importance cap.
        normalizer: from `loss_normalizer`, over the whole minibatch.
        response_lengths: [N], response tokens of each token's sequence; needed to take sequence means and to
            reject sequences.
        rollout_logprobs: [N] as the engine reported them; needed for the importance cap and to reject tokens.
        ref_logprobs: [N] of the reference policy; needed for a KL coefficient above 0.
        entropies: [N], only to be summed into the metrics.
        sequence_means: by `with_sequence_means`; needed for GSPO and to reject sequences.
    """
    means = sequence_means or {}
    needed = {
        "rollout_logprobs": settings.needs_rollout_logprobs and rollout_logprobs is None,
        "ref_logprobs": settings.kl_coefficient > 0 and ref_logprobs is None,
        "sequence_means": settings.needs_whole_sequences and not means,
        "response_lengths": settings.sequence_rejection is not None and response_lengths is None,
    }
    for name, lacks in needed.items():
        if lacks:
            raise ValueError(f"with these settings policy_loss needs {name}")
    mask = mask.bool()
    advantage = advantages.float()
    if old_logprobs is None:
        old_logprobs = logprobs.detach()
    by_token = log_ratio(logprobs, old_logprobs, mask)
    if settings.policy_loss is PolicyLoss.GSPO:
        by_token = means[RATIO] + (by_token - by_token.detach())
    ratio = by_token.exp()
    loss = _surrogate(ratio, logprobs, advantage, settings)
    per_token = {"ratio": ratio, **_clip_fractions(ratio, advantage, settings)}
    if rollout_logprobs is not None:
        mismatch = log_ratio(old_logprobs, rollout_logprobs, mask)
        per_token["mismatch"] = mismatch.abs()
        if settings.importance_cap is not None:
            weight = mismatch.exp().detach()
            per_token["importance_clipped"] = weight > settings.importance_cap
            weight = weight.clamp(max=settings.importance_cap)
            per_token["importance"] = weight
            loss = loss * weight
    if ref_logprobs is not None:
        divergence = kl_divergence(logprobs, ref_logprobs, mask, settings.kl)
        per_token["kl"] = divergence
        if settings.kl_coefficient > 0:
            loss = loss + settings.kl_coefficient * divergence
    if entropies is not None:
        per_token["entropy"] = entropies
    if settings.token_rejection is not None:
        rejected = _outside(mismatch, settings.token_rejection)
        per_token["token_rejected"] = rejected
        loss = loss.masked_fill(rejected, 0.0)
    if settings.sequence_rejection is not None:
        rejected = _outside(means[MISMATCH], settings.sequence_rejection)
        assert response_lengths is not None
        share = (1 / response_lengths).expand_as(loss)
        per_token |= {"sequences": share, "sequence_rejected": share * rejected}
        loss = loss.masked_fill(rejected, 0.0)
    total = aggregate(loss, mask, settings.aggregation, response_lengths) / normalizer
    return LossOutput(total, _token_sums(per_token, mask))


def kl_divergence(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, kind: Kl) -> Tensor:
    """Per-token estimate of KL(policy || reference), [N]; 0 where the mask is 0.

    With d = logp - logp_ref: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d (never negative).
    """
    d = log_ratio(logprobs, ref_logprobs, mask.bool())
    if kind is Kl.K1:
        return d
    if kind is Kl.K2:
        return d.square() / 2
    return torch.expm1(-d) + d


def sft_loss(logprobs: Tensor, mask: Tensor, *, normalizer: float) -> LossOutput:
    """Negative log-likelihood of the assistant's tokens: a sum divided by the minibatch's token count."""
    mask = mask.bool()
    nll = -logprobs.float()
    return LossOutput(
        aggregate(nll, mask, Aggregation.TOKEN_MEAN) / normalizer, _token_sums({"loss": nll}, mask)
    )


def aggregate(
    token_loss: Tensor, mask: Tensor, aggregation: Aggregation, response_lengths: Tensor | None = None
) -> Tensor:
    """Sum of the token losses [N] under the mask; sequence-mean divides each by its sequence's length."""
    if aggregation is Aggregation.SEQUENCE_MEAN:
        if response_lengths is None:
            raise ValueError("sequence_mean needs response_lengths")
        token_loss = token_loss / response_lengths
    return token_loss.masked_fill(~mask, 0.0).sum()


def _surrogate(ratio: Tensor, logprobs: Tensor, advantage: Tensor, settings: GrpoSettings) -> Tensor:
    """A token's loss before weights and KL: PPO's, clipped by separate bounds and by the dual clip where
    A < 0, or CISPO's."""
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    if settings.policy_loss is PolicyLoss.CISPO:
        return -advantage * clipped.detach() * logprobs.float()
    loss = torch.maximum(-advantage * ratio, -advantage * clipped)
    if settings.dual_clip is None:
        return loss
    bound = -advantage * settings.dual_clip
    return torch.where(advantage < 0, torch.minimum(loss, bound), loss)


def _clip_fractions(ratio: Tensor, advantage: Tensor, settings: GrpoSettings) -> dict[str, Tensor]:
    """Where a bound takes the gradient away: below for A < 0, above for A > 0, and the dual clip.

    CISPO's bounds take none away; what they clip is counted whatever A is.
    """
    low, high = ratio < 1 - settings.clip_low, ratio > 1 + settings.clip_high
    if settings.policy_loss is PolicyLoss.CISPO:
        return {"clip_low": low, "clip_high": high}
    fractions = {"clip_low": (advantage < 0) & low, "clip_high": (advantage > 0) & high}
    if settings.dual_clip is not None:
        fractions["clip_dual"] = (advantage < 0) & (ratio > settings.dual_clip)
    return fractions


def _outside(log_ratios: Tensor, band: tuple[float, float]) -> Tensor:
    """Where a ratio is outside a band, the bounds not included; bool, without gradient."""
    ratio = log_ratios.detach().exp()
    return (ratio < band[0]) | (ratio > band[1])


def _token_sums(per_token: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    """Sum each per-token metric under the mask, without gradient, and count the tokens."""
    sums = {name: value.detach().float().masked_fill(~mask, 0.0).sum() for name, value in per_token.items()}
    return {"tokens": mask.sum().float(), **sums}
