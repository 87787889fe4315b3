"""What a rollout's gradient is divided by, whatever of it need not be computed.

The trainer is a stand-in: a table of logits by the token before, so that gradients have a closed form.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from evaluation.errors import WarpsmithError
from training.objective.batch import collate
from training.objective.losses import token_logprobs
from training.policy.policy import Policy
from training.rollout.buffer import Sample
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import Message, PromptRow
from training.rollout.rewards.rewards import Reward
from training.settings.optimization import Aggregation, GrpoSettings, PolicyLoss
from training.settings.rollout import RolloutSettings

VOCABULARY, LIMIT = 11, 8
ROW = PromptRow(prompt=(Message(role="user", content="a"),), label="x")
WORDS = [(2, 3, 4, 5), (6, 7), (8, 9, 10, 2, 3, 4), (5, 6, 7)]
GOOD, DULL = [1.0, 0.0, 0.0, 1.0], [0.0] * 4


class Table:
    """Stands for the trainer; it counts its forward passes without gradient."""

    class architecture:
        vocab_size = VOCABULARY

    def __init__(self):
        torch.manual_seed(0)
        self.logits = torch.randn(VOCABULARY, VOCABULARY, requires_grad=True)
        self.gradients, self.computed, self.passes = [], [], 0

    def skip_to(self, step):
        pass

    def scores(self, tokens):
        ids = torch.tensor(tokens)
        return token_logprobs(self.logits[ids[:-1]], ids[1:]).detach()

    def logprobs(self, examples, temperature, model=None):
        self.passes += 1
        found = []
        for example in examples:
            row = self.scores(example.prompt + example.response)[len(example.prompt) - 1 :]
            mask = torch.tensor(example.mask or (True,) * len(example.response))
            found.append(tuple(row[mask].tolist()))
        return found

    def step(self, examples, loss, temperature=1.0, prepare=None):
        tokens = collate(examples)
        flat = tokens.tokens()
        logprobs = token_logprobs(self.logits[tokens.inputs.t().reshape(-1)], flat.labels)
        flat = prepare(logprobs, flat) if prepare else flat
        out = loss(logprobs, torch.zeros_like(flat.advantages), flat)
        self.logits.grad = None
        out.loss.backward()
        self.gradients.append(self.logits.grad.clone())
        self.computed.append(len(examples))
        return {name: float(value) for name, value in out.metrics.items()}


def sample(table, group, reward, ids, mask=(), version=0, shift=0.0):
    logprobs = tuple((table.scores((1, *ids)) + shift).tolist())
    completion = Completion(ids, logprobs, FinishReason.STOP, version)
    return Sample(group, ROW, (1,), completion, "", Reward(reward), mask)


def updated(rewards, aggregation=Aggregation.TOKEN_MEAN, kl=0.0, minibatches=1, **changes):
    table = Table()
    settings = GrpoSettings(aggregation=aggregation, kl_coefficient=kl, minibatches=minibatches, **changes)
    policy = Policy(table, settings, RolloutSettings(max_new_tokens=LIMIT), table.logprobs if kl else None)
    samples = [sample(table, g, r, WORDS[i]) for g, group in enumerate(rewards) for i, r in enumerate(group)]
    policy.update(samples, 0)
    return table


@pytest.mark.parametrize("aggregation", Aggregation)
@pytest.mark.parametrize("dull", [1, 7])
def test_groups_that_teach_nothing_count_in_the_denominator(aggregation, dull):
    alone, among = updated([GOOD], aggregation), updated([GOOD] + [DULL] * dull, aggregation)
    torch.testing.assert_close(among.gradients[0] * (1 + dull), alone.gradients[0])
    assert among.computed == [4]  # and are not computed


@pytest.mark.parametrize("aggregation", Aggregation)
def test_a_vanishing_kl_term_changes_nothing(aggregation):
    rewards = [GOOD, DULL, [0.0, 0.5, 1.0, 0.5]]
    none, tiny = updated(rewards, aggregation), updated(rewards, aggregation, kl=1e-12)
    torch.testing.assert_close(tiny.gradients[0], none.gradients[0])


def test_a_minibatch_is_cut_from_all_samples():
    table = updated([GOOD, *[DULL] * 3], minibatches=4)
    assert sum(table.computed) == 4
    assert len(table.computed) <= 4


def test_one_step_a_rollout_needs_no_second_pass():
    table = Table()
    policy = Policy(table, GrpoSettings(minibatches=1), RolloutSettings(max_new_tokens=LIMIT), None)
    for step in range(3):
        policy.update([sample(table, 0, r, WORDS[i], version=step) for i, r in enumerate(GOOD)], step)
    assert table.passes == 1  # the first step's checks
    torch.testing.assert_close(table.gradients[1], table.gradients[0])


@pytest.mark.parametrize("aggregation", Aggregation)
def test_turns_are_one_sequence_with_a_mask(aggregation):
    table = Table()
    settings = GrpoSettings(aggregation=aggregation, minibatches=1)
    policy = Policy(table, settings, RolloutSettings(max_new_tokens=LIMIT), None)
    mask = (True, True, False, False, True, True)
    samples = [sample(table, 0, 1.0, WORDS[2], mask), sample(table, 0, 0.0, WORDS[0])]
    policy.update(samples, 0)
    assert table.computed == [2]

    advantage = 0.5 / (0.5**0.5 + 1e-6)
    weights = {
        Aggregation.TOKEN_MEAN: (1 / 8, 1 / 8),
        Aggregation.SEQUENCE_MEAN: (1 / 8, 1 / 8),
        Aggregation.CONSTANT: (1 / (2 * LIMIT), 1 / (2 * LIMIT)),
    }[aggregation]
    own = token_logprobs(table.logits[torch.tensor((1, *WORDS[2][:-1]))], torch.tensor(WORDS[2]))
    other = token_logprobs(table.logits[torch.tensor((1, *WORDS[0][:-1]))], torch.tensor(WORDS[0]))
    learnt = own[torch.tensor(mask)].sum()
    loss = -advantage * weights[0] * learnt + advantage * weights[1] * other.sum()
    (expected,) = torch.autograd.grad(loss, table.logits)
    torch.testing.assert_close(table.gradients[0], expected)


def test_a_few_absurd_tokens_do_not_stop_a_run_and_a_shift_of_all_does():
    table = Table()
    settings = GrpoSettings(minibatches=1, mismatch_tolerance=0.05)
    policy = Policy(table, settings, RolloutSettings(max_new_tokens=4096), None)
    ids = tuple(2 + i % 9 for i in range(4000))
    samples = [sample(table, 0, 1.0, ids), sample(table, 0, 0.0, ids)]
    odd = list(samples[0].completion.logprobs)
    odd[17] -= 3.0
    first = Completion(ids, tuple(odd), FinishReason.STOP, 0)
    policy.update([Sample(0, ROW, (1,), first, "", Reward(1.0)), samples[1]], 0)

    policy = Policy(table, settings, RolloutSettings(max_new_tokens=4096), None)
    with pytest.raises(WarpsmithError, match=r"0\.1 in the mean"):
        policy.update([sample(table, 0, r, ids, shift=0.1) for r in (0.0, 1.0)], 0)


@pytest.mark.parametrize("loss", PolicyLoss)
def test_on_policy_all_losses_have_the_same_gradient(loss):
    plain = updated([GOOD], Aggregation.SEQUENCE_MEAN)
    same = updated([GOOD], Aggregation.SEQUENCE_MEAN, policy_loss=loss, sequence_rejection=(0.9, 1.1))
    torch.testing.assert_close(same.gradients[0], plain.gradients[0])


@pytest.mark.parametrize("aggregation", Aggregation)
def test_truncated_responses_leave_the_loss_and_its_denominator(aggregation):
    """What is left is the loss of the others alone, with the advantages that the whole group gives."""

    def gradient(overlong_filter: bool, truncated: bool) -> torch.Tensor:
        table = Table()
        settings = GrpoSettings(aggregation=aggregation, overlong_filter=overlong_filter)
        policy = Policy(table, settings, RolloutSettings(max_new_tokens=LIMIT), None)
        samples = [sample(table, 0, r, WORDS[i]) for i, r in enumerate(GOOD)]
        if truncated:
            samples[3] = replace(
                samples[3], completion=replace(samples[3].completion, finish_reason=FinishReason.LENGTH)
            )
        policy.update(samples, 0)
        assert table.computed == [4 - (overlong_filter and truncated)]
        return table.gradients[0]

    advantage = 0.5 / (1 / 3) ** 0.5
    table, loss = Table(), 0.0
    lengths = [len(word) for word in WORDS[:3]]
    for word, reward in zip(WORDS[:3], GOOD, strict=False):
        own = token_logprobs(table.logits[torch.tensor((1, *word[:-1]))], torch.tensor(word))
        divisor = {
            Aggregation.TOKEN_MEAN: sum(lengths),
            Aggregation.SEQUENCE_MEAN: 3 * len(word),
            Aggregation.CONSTANT: 3 * LIMIT,
        }[aggregation]
        loss = loss - (advantage if reward else -advantage) * own.sum() / divisor
    (expected,) = torch.autograd.grad(loss, table.logits)
    torch.testing.assert_close(gradient(True, True), expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(gradient(True, False), gradient(False, True))


def test_a_step_of_truncated_responses_alone_changes_nothing():
    table = Table()
    policy = Policy(table, GrpoSettings(overlong_filter=True), RolloutSettings(max_new_tokens=LIMIT), None)
    cut = Completion(WORDS[0], (-1.0,) * 4, FinishReason.LENGTH, 0)
    assert policy.update([Sample(0, ROW, (1,), cut, "", Reward(r)) for r in (0.0, 1.0)], 0) == []
