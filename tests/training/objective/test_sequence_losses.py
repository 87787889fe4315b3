"""GSPO, CISPO and rejection against NumPy written from the papers, gradients included."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from training.objective.batch import Example, collate, pack
from training.objective.losses import loss_normalizer, policy_loss
from training.objective.ratios import with_sequence_means
from training.policy.health import update_metrics
from training.settings.optimization import Aggregation, GrpoSettings, PolicyLoss

LIMIT = 12


def minibatch(seed, sequences=7):
    """Sequences of random lengths as (advantage, {policy: log-probabilities}, mask) in NumPy."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in rng.integers(1, LIMIT + 1, sequences):
        old = rng.normal(-1, 1, length)
        mask = rng.random(length) < 0.8
        mask[rng.integers(length)] = True
        policies = {
            "now": old + rng.normal(0, 0.3, length),
            "old": old,
            "rollout": old + rng.normal(0, 0.3, length),
        }
        rows.append((rng.normal(), policies, mask))
    return rows


def run(rows, config, lay_out, parts=1):
    """Loss, gradient by learnt token, and metrics, added up over micro-batches."""
    lengths = [int(mask.sum()) for *_, mask in rows]
    normalizer = loss_normalizer(lengths, config.aggregation, LIMIT)
    edges = np.linspace(0, len(rows), parts + 1).round().astype(int)
    loss, gradients, metrics = 0.0, [], {}
    for start, stop in pairwise(edges):
        examples = [
            Example(
                (1, 2),
                (3,) * len(mask),
                advantage,
                {name: tuple(values[mask].tolist()) for name, values in policies.items()},
                tuple(mask.tolist()),
            )
            for advantage, policies, mask in rows[start:stop]
        ]
        batch = lay_out(examples)
        tokens = batch.tokens()
        now = tokens.logprobs.pop("now").requires_grad_()
        tokens = with_sequence_means(now, tokens)
        # In two pieces, as the head computes them.
        for piece in (slice(0, len(now) // 3), slice(len(now) // 3, None)):
            part = tokens.select(piece)
            out = policy_loss(
                now[piece],
                part.logprobs["old"],
                part.advantages,
                part.mask,
                config,
                normalizer=normalizer,
                response_lengths=part.response_lengths,
                rollout_logprobs=part.logprobs["rollout"],
                sequence_means=part.sequence_means,
            )
            out.loss.backward()
            loss += out.loss.item()
            for name, value in out.metrics.items():
                metrics[name] = metrics.get(name, 0.0) + value.item()
        gradients.append(now.grad[batch.responses])
    return loss, torch.cat(gradients).numpy(), metrics


def by_hand(rows, config):
    """Loss and gradient of GSPO or CISPO with rejection, sequence by sequence, from the papers."""
    total, gradients = 0.0, []
    count = sum(int(mask.sum()) for *_, mask in rows)
    for advantage, policies, mask in rows:
        now, old, rollout = (policies[name][mask] for name in ("now", "old", "rollout"))
        n = len(now)
        share = {
            Aggregation.TOKEN_MEAN: 1 / count,
            Aggregation.SEQUENCE_MEAN: 1 / (n * len(rows)),
            Aggregation.CONSTANT: 1 / (LIMIT * len(rows)),
        }[config.aggregation]
        weight = np.ones(n)
        engine = np.exp(old - rollout)
        if config.importance_cap is not None:
            weight = np.minimum(engine, config.importance_cap)
        if config.token_rejection is not None:
            low, high = config.token_rejection
            weight = np.where((engine < low) | (engine > high), 0.0, weight)
        if config.sequence_rejection is not None:
            low, high = config.sequence_rejection
            weight = weight * (low <= np.exp((old - rollout).mean()) <= high)
        low, high = 1 - config.clip_low, 1 + config.clip_high
        if config.policy_loss is PolicyLoss.GSPO:
            s = np.exp((now - old).mean())
            objective = min(s * advantage, np.clip(s, low, high) * advantage)
            clipped = (advantage > 0 and s > high) or (advantage < 0 and s < low)
            slope = 0.0 if clipped else s * advantage
            total -= objective * weight.sum() * share
            # d s / d logp of token t is s / n times the weights of all tokens; by token with its own weight
            # where they differ (GSPO-token, eq. 14 of the paper).
            gradients.append(-slope * weight * share)
        else:
            r = np.clip(np.exp(now - old), low, high)
            total -= (r * advantage * now * weight).sum() * share
            gradients.append(-r * advantage * weight * share)
    return total, np.concatenate(gradients)


configs = st.builds(
    GrpoSettings,
    policy_loss=st.sampled_from([PolicyLoss.GSPO, PolicyLoss.CISPO]),
    aggregation=st.sampled_from(Aggregation),
    clip_low=st.sampled_from([0.05, 0.2, 1.0]),
    clip_high=st.sampled_from([0.05, 0.28]),
    importance_cap=st.sampled_from([None, 1.2, 5.0]),
    token_rejection=st.sampled_from([None, (0.8, 1.3)]),
    sequence_rejection=st.sampled_from([None, (0.9, 1.1)]),
)


@given(st.integers(0, 2**32 - 1), configs, st.sampled_from([collate, pack]), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_losses_and_gradients_are_the_papers_however_the_minibatch_is_split(seed, config, lay_out, parts):
    rows = minibatch(seed)
    loss, gradient, metrics = run(rows, config, lay_out, parts)
    expected_loss, expected_gradient = by_hand(rows, config)
    assert loss == pytest.approx(expected_loss, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-6)
    assert metrics["tokens"] == len(gradient)


def test_gspo_is_the_mean_over_sequences_of_one_clipped_ratio_each():
    """The paper's equation 5 as it stands: autograd through the sequence's own ratio."""
    rows = minibatch(5)
    config = GrpoSettings(
        policy_loss=PolicyLoss.GSPO, aggregation=Aggregation.SEQUENCE_MEAN, clip_low=0.03, clip_high=0.04
    )
    objective, leaves = 0.0, []
    for advantage, policies, mask in rows:
        now, old = (torch.tensor(policies[name][mask]) for name in ("now", "old"))
        leaves.append(now.requires_grad_())
        s = (now - old).mean().exp()
        objective = objective + torch.minimum(s * advantage, s.clamp(0.97, 1.04) * advantage) / len(rows)
    expected = torch.cat(torch.autograd.grad(-objective, leaves))
    loss, gradient, metrics = run(rows, config, pack)
    assert loss == pytest.approx(-objective.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-4, atol=1e-7)
    assert 0 < metrics["clip_low"] + metrics["clip_high"] < metrics["tokens"]


def test_icepop_is_token_rejection_with_the_ratio_as_weight():
    """M(k) = k for k in [alpha, beta], else 0 (2510.18855), times the clipped loss."""
    rows, (alpha, beta) = minibatch(3), (0.8, 1.3)
    icepop = GrpoSettings(token_rejection=(alpha, beta), importance_cap=beta)
    loss, _, metrics = run(rows, icepop, collate)
    total, tokens, rejected = 0.0, 0, 0
    for a, policies, mask in rows:
        now, old, rollout = (policies[name][mask] for name in ("now", "old", "rollout"))
        k, rho = np.exp(old - rollout), np.exp(now - old)
        inside = (k >= alpha) & (k <= beta)
        total -= (np.minimum(rho * a, np.clip(rho, 0.8, 1.28) * a) * np.where(inside, k, 0)).sum()
        tokens, rejected = tokens + len(k), rejected + (~inside).sum()
    assert loss == pytest.approx(total / tokens, rel=1e-4)
    assert metrics["token_rejected"] == rejected > 0


def test_shares_of_what_is_clipped_and_rejected_are_logged():
    rows = minibatch(3)
    config = GrpoSettings(policy_loss="cispo", token_rejection=(0.8, 1.3), sequence_rejection=(0.9, 1.1))
    _, _, sums = run(rows, config, pack, parts=3)
    logged = update_metrics([{**sums, "loss": 0.0, "grad_norm": 0.0, "lr": 0.0, "flops": 0.0}])
    engine = [p["old"][m] - p["rollout"][m] for _, p, m in rows]
    means = np.exp([one.mean() for one in engine])
    assert logged["train/sequence_reject_fraction"] == pytest.approx(np.mean((means < 0.9) | (means > 1.1)))
    ratios = np.exp(np.concatenate([p["now"][m] - p["old"][m] for _, p, m in rows]))
    assert logged["train/clip_fraction_low"] == pytest.approx(np.mean(ratios < 0.8))
    assert logged["train/clip_fraction_high"] == pytest.approx(np.mean(ratios > 1.28))
    tokens = np.exp(np.concatenate(engine))
    assert logged["train/token_reject_fraction"] == pytest.approx(np.mean((tokens < 0.8) | (tokens > 1.3)))


def test_a_rejected_sequence_that_is_absurd_leaves_no_trace():
    rows = minibatch(1)
    config = GrpoSettings(policy_loss="gspo", sequence_rejection=(0.5, 2.0))
    advantage, policies, mask = rows[0]
    absurd = {**policies, "rollout": policies["old"] - 1e9}
    loss, gradient, metrics = run([(advantage, absurd, mask), *rows[1:]], config, pack)
    assert np.isfinite(loss)
    assert not gradient[: mask.sum()].any()
    assert gradient[mask.sum() :].any()
    assert metrics["sequence_rejected"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"token_rejection": (0.5, 5.0)}, "rollout_logprobs"),
        ({"policy_loss": "gspo"}, "sequence_means"),
        ({"sequence_rejection": (0.5, 2.0)}, "sequence_means"),
    ],
)
def test_losses_that_need_more_say_so(changes, lacks):
    row, one = torch.zeros(1, 3), torch.ones(1)
    with pytest.raises(ValueError, match=lacks):
        policy_loss(row, row, one, row, GrpoSettings(**changes), normalizer=1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_rejection": (1.5, 5.0)}, "token_rejection 1.5 to 5 leaves no room for a ratio of 1"),
        ({"sequence_rejection": (0.5, 0.9)}, "sequence_rejection 0.5 to 0.9 leaves no room"),
        ({"token_rejection": (-1, 2)}, "leaves no room"),
        ({"token_rejection": (float("nan"), 2)}, "leaves no room"),
        ({"policy_loss": "cispo", "dual_clip": 3.0}, "dual_clip bounds what policy_loss cispo has bounded"),
        ({"policy_loss": "gpso"}, "Input should be 'ppo', 'gspo' or 'cispo'"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(changes, message):
    with pytest.raises(ValidationError, match=message):
        GrpoSettings(**changes)
