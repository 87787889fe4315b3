"""Losses against NumPy written from the papers, and the invariances that training relies on."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.objective.losses import (
    entropy,
    kl_divergence,
    loss_normalizer,
    policy_loss,
    sft_loss,
    token_logprobs,
)
from training.settings.optimization import Aggregation, GrpoSettings, Kl

LIMIT = 12  # max_new_tokens of the made-up minibatches


def minibatch(seed, sequences=6):
    """Random log-probabilities, advantages and ragged masks; padding holds garbage that must not matter."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, LIMIT + 1, sequences)
    mask = np.zeros((sequences, LIMIT + 3), bool)
    for row, length in zip(mask, lengths, strict=True):
        row[2 : 2 + length] = True
    old = rng.normal(-1, 1, mask.shape)
    batch = {
        "logprobs": old + rng.normal(0, 0.4, mask.shape),
        "old_logprobs": old,
        "rollout_logprobs": old + rng.normal(0, 0.5, mask.shape),
        "ref_logprobs": old + rng.normal(0, 0.3, mask.shape),
    }
    for values in batch.values():
        values[~mask] = rng.choice([-1e9, 0.0, 7.0], (~mask).sum())
    return batch | {"advantages": rng.normal(0, 1, sequences), "mask": mask}, lengths


def tensors(batch, rows=slice(None)):
    """The rows of a minibatch as tensors; the policy's log-probabilities want a gradient."""
    batch = {name: torch.tensor(values[rows]) for name, values in batch.items()}
    batch["logprobs"].requires_grad_()
    batch["advantages"] = batch["advantages"][:, None]
    batch["response_lengths"] = batch["mask"].sum(-1, keepdim=True)
    return batch


def reference_loss(batch, config):
    """The same loss, token by token in plain Python from the formulas."""
    total, tokens, by_sequence = 0.0, 0, []
    for i, mask in enumerate(batch["mask"]):
        losses = []
        for t in np.flatnonzero(mask):
            a = batch["advantages"][i]
            old = batch["old_logprobs"][i, t]
            rho = math.exp(batch["logprobs"][i, t] - old)
            loss = max(-a * rho, -a * min(max(rho, 1 - config.clip_low), 1 + config.clip_high))
            if config.dual_clip is not None and a < 0:
                loss = min(loss, -config.dual_clip * a)
            if config.importance_cap is not None:
                loss *= min(math.exp(old - batch["rollout_logprobs"][i, t]), config.importance_cap)
            d = batch["logprobs"][i, t] - batch["ref_logprobs"][i, t]
            k = {Kl.K1: d, Kl.K2: d * d / 2, Kl.K3: math.exp(-d) - 1 + d}[config.kl]
            losses.append(loss + config.kl_coefficient * k)
        total, tokens = total + sum(losses), tokens + len(losses)
        by_sequence.append(sum(losses) / len(losses))
    return {
        Aggregation.TOKEN_MEAN: total / tokens,
        Aggregation.SEQUENCE_MEAN: sum(by_sequence) / len(by_sequence),
        Aggregation.CONSTANT: total / (LIMIT * len(by_sequence)),
    }[config.aggregation]


def run(batch, lengths, config, micro_batches=1):
    """Loss, gradient and metrics of a minibatch, added up over micro-batches of unequal size."""
    normalizer = loss_normalizer(lengths, config.aggregation, LIMIT)
    edges = np.linspace(0, len(lengths), micro_batches + 1).round().astype(int)
    loss, gradients, metrics = 0.0, [], {}
    for start, stop in pairwise(edges):
        part = tensors(batch, slice(start, stop))
        out = policy_loss(settings=config, normalizer=normalizer, **part)
        out.loss.backward()
        loss += out.loss.item()
        gradients.append(part["logprobs"].grad)
        for name, value in out.metrics.items():
            metrics[name] = metrics.get(name, 0.0) + value.item()
    return loss, torch.cat(gradients), metrics


configs = st.builds(
    GrpoSettings,
    aggregation=st.sampled_from(Aggregation),
    kl=st.sampled_from(Kl),
    kl_coefficient=st.sampled_from([0.0, 0.1]),
    dual_clip=st.sampled_from([None, 1.5, 3.0]),
    importance_cap=st.sampled_from([None, 1.2, 2.0]),
)


@given(st.integers(0, 2**32 - 1), configs)
@settings(max_examples=80, deadline=None)
def test_policy_loss_is_the_papers_formula(seed, config):
    batch, lengths = minibatch(seed)
    loss, _, _ = run(batch, lengths, config)
    assert loss == pytest.approx(reference_loss(batch, config), rel=1e-5, abs=1e-6)


@given(st.integers(0, 2**32 - 1), configs, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_loss_gradient_and_metrics_do_not_depend_on_the_micro_batch_split(seed, config, parts):
    batch, lengths = minibatch(seed)
    loss, gradient, metrics = run(batch, lengths, config)
    split_loss, split_gradient, split_metrics = run(batch, lengths, config, parts)
    assert split_loss == pytest.approx(loss, rel=1e-5, abs=1e-6)
    torch.testing.assert_close(split_gradient, gradient)
    assert split_metrics == pytest.approx(metrics, rel=1e-5, abs=1e-5)


@given(st.floats(-(2.0**90), 2.0**90), st.floats(-(2.0**90), 0), st.floats(-10, 10), configs)
@settings(max_examples=60, deadline=None)
def test_absurd_log_probabilities_never_give_nan(new, old, advantage, config):
    new, old = (torch.full((1, 2), value) for value in (new, old))
    new.requires_grad_()
    out = policy_loss(
        new, old, torch.tensor([advantage]), torch.ones(1, 2), config,
        normalizer=2.0, response_lengths=torch.tensor([2.0]),
        rollout_logprobs=old * 0.5, ref_logprobs=old * 2,
    )  # fmt: skip
    out.loss.backward()
    assert torch.isfinite(out.loss)
    assert torch.isfinite(new.grad).all()
    assert all(torch.isfinite(value) for value in out.metrics.values())


def test_an_empty_micro_batch_is_zero_not_nan():
    nothing = torch.zeros(2, 5)
    for aggregation in Aggregation:
        out = policy_loss(
            nothing, nothing, torch.ones(1), nothing, GrpoSettings(aggregation=aggregation),
            normalizer=loss_normalizer([], aggregation, LIMIT),
            response_lengths=torch.ones(1),
        )  # fmt: skip
        assert out.loss == 0
        assert out.metrics["tokens"] == 0


def test_first_step_is_on_policy():
    batch, lengths = minibatch(0)
    same = batch["old_logprobs"]
    batch = batch | {"logprobs": same, "ref_logprobs": same, "rollout_logprobs": same}
    loss, _, metrics = run(batch, lengths, GrpoSettings(importance_cap=2.0))
    tokens = metrics["tokens"]
    assert tokens == lengths.sum()
    assert metrics["ratio"] == metrics["importance"] == tokens
    assert metrics["clip_low"] == metrics["clip_high"] == metrics["kl"] == metrics["mismatch"] == 0
    assert loss == pytest.approx(-(batch["advantages"] * lengths).sum() / tokens, rel=1e-5)


def test_clipped_tokens_have_no_gradient_and_are_counted():
    ratio = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.0]])
    new = ratio.log().requires_grad_()
    for advantage, expected in ((1.0, [0, 0, 1, 1, 1]), (-1.0, [1, 1, 0, 0, 1])):
        old, mask = torch.zeros(1, 5), torch.ones(1, 5)
        out = policy_loss(new, old, torch.tensor([advantage]), mask, GrpoSettings(), normalizer=1.0)
        (gradient,) = torch.autograd.grad(out.loss, new)
        assert (gradient != 0).int().tolist() == [expected]
        assert out.metrics["clip_high" if advantage > 0 else "clip_low"] == 2
        assert out.metrics["clip_low" if advantage > 0 else "clip_high"] == 0


def test_settings_that_need_more_log_probabilities_say_so():
    row, one = torch.zeros(1, 3), torch.ones(1)
    with pytest.raises(ValueError, match="rollout_logprobs"):
        policy_loss(row, row, one, row, GrpoSettings(importance_cap=2.0), normalizer=1.0)
    with pytest.raises(ValueError, match="ref_logprobs"):
        policy_loss(row, row, one, row, GrpoSettings(kl_coefficient=0.1), normalizer=1.0)


def test_kl_estimators_converge_to_the_divergence():
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.log_softmax(torch.randn(20, generator=generator) / 2, -1) for _ in range(2))
    truth = (p.exp() * (p - q)).sum().item()
    draws = torch.multinomial(p.exp(), 200_000, replacement=True, generator=generator)
    for kind in (Kl.K1, Kl.K3):
        estimate = kl_divergence(p[draws], q[draws], torch.ones(len(draws)), kind)
        assert estimate.mean().item() == pytest.approx(truth, rel=0.02)
    assert (kl_divergence(p, q, torch.ones(20), Kl.K3) >= 0).all()
    near = kl_divergence(p, p + 1e-3, torch.ones(20), Kl.K2)
    torch.testing.assert_close(near, torch.full((20,), 5e-7), rtol=1e-2, atol=0)


def test_of_the_estimators_gradients_k1_has_none_and_k2_the_divergences():
    """Means over all outcomes of p = softmax(theta), by enumeration."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(20, generator=generator).requires_grad_()
    q = torch.log_softmax(torch.randn(20, generator=generator), -1)

    def gradient(of_p: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return torch.autograd.grad(of_p(torch.log_softmax(theta, -1)), theta)[0]

    def of_estimator(kind: Kl) -> torch.Tensor:
        return gradient(lambda p: (p.detach().exp() * kl_divergence(p, q, torch.ones(20), kind)).sum())

    divergence = gradient(lambda p: (p.exp() * (p - q)).sum())
    torch.testing.assert_close(of_estimator(Kl.K1), torch.zeros(20), atol=1e-6, rtol=0)
    torch.testing.assert_close(of_estimator(Kl.K2), divergence, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_token_logprobs_and_entropy_match_numpy(temperature):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 5, (2, 3, 11)), rng.integers(0, 11, (2, 3))
    scaled = logits / temperature
    logp = scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))
    ours = token_logprobs(torch.tensor(logits), torch.tensor(labels), temperature)
    assert ours.dtype == torch.float32
    picked = np.take_along_axis(logp, labels[..., None], -1)[..., 0]
    np.testing.assert_allclose(ours, picked, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        entropy(torch.tensor(logits), temperature), -(np.exp(logp) * logp).sum(-1), rtol=1e-4, atol=1e-5
    )


def test_entropy_of_a_certain_token_is_zero():
    assert entropy(torch.tensor([[[0.0, -torch.inf, -1e9]]])) == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_sft_loss_is_cross_entropy_over_the_response(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 9, 17, generator=generator)
    labels = torch.randint(17, (4, 9), generator=generator)
    mask = torch.rand(4, 9, generator=generator) < 0.6
    mask[0, 0] = True
    parts = [
        sft_loss(token_logprobs(logits[rows], labels[rows]), mask[rows], normalizer=mask.sum().item())
        for rows in (slice(0, 1), slice(1, 4))
    ]
    expected = torch.nn.functional.cross_entropy(logits[mask], labels[mask])
    torch.testing.assert_close(parts[0].loss + parts[1].loss, expected)
    sums = {name: sum(part.metrics[name] for part in parts) for name in ("loss", "tokens")}
    torch.testing.assert_close(sums["loss"] / sums["tokens"], expected)
