"""Rewards: verdicts become numbers and rates, and replaceable functions are held to their contract."""

import json
import math

import numpy as np
import pytest
import torch

from evaluation.errors import WarpsmithError
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.settings import EvaluationSettings, RewardSettings
from evaluation.verdict import Measurements, Status, Verdict
from training.rollout.prompts import PromptRow
from training.rollout.rewards.open import open_reward
from training.rollout.rewards.rewards import (
    KernelReward,
    Response,
    Reward,
    load_function,
    mean_metrics,
    score,
)


def problem(name, level):
    """A problem that nothing here runs."""
    vector = Tensor(name="x", shape=(4,), dtype="float32")
    instance = Instance(
        program="", sizes={}, inputs=(vector,), outputs=(vector.model_copy(update={"name": "out"}),)
    )
    return Problem(
        id=name, source="generated", level=level, split=Split.TRAIN, dialect=Dialect.MODEL,
        operators=("relu",), shipped=instance, checks=(instance,), tolerance=1e-4, flops=4, bytes=32,
    )  # fmt: skip


PROBLEMS = {"easy": problem("easy", 1), "hard": problem("hard", 3)}


class ScriptedPool:
    """Stands in for the evaluation pool: the response's text is the status to give."""

    def __init__(self):
        self.calls = []

    def evaluate(self, requests, *, seed):
        self.calls.append((len(requests), seed))
        return [verdict(Status(request.response)) for request in requests]


def verdict(status):
    """A verdict of this status with the measurements it needs."""
    measurements = Measurements(instances=3, max_error=0.5) if status is Status.CORRECT else None
    return Verdict(status=status, reason=f"because {status}", measurements=measurements)


def response(text, label="easy"):
    """A response to the prompt of a problem."""
    return Response(PromptRow(prompt=({"role": "user", "content": "?"},), label=label), text)


def halves(responses):
    """A reward function from a profile."""
    return [Reward(0.5) for _ in responses]


def test_kernel_rewards_follow_the_verdicts_in_one_call():
    pool = ScriptedPool()
    settings = EvaluationSettings(rewards=RewardSettings(parsed=0.25, compiled=0.5, correct=2.0))
    reward = KernelReward(pool, PROBLEMS, settings, seed=11)
    statuses = ["unparsable", "compile_error", "wrong", "timeout", "cheated", "correct"]
    rewards = score(reward, [response(s, "hard" if s == "correct" else "easy") for s in statuses])
    assert [r.value for r in rewards] == [0, 0.25, 0.5, 0.5, 0, 2.0]
    assert [r.status for r in rewards] == statuses
    assert rewards[2].reason == "because wrong"
    assert pool.calls == [(6, 11)]
    assert mean_metrics(rewards) == pytest.approx(
        {
            "reward/mean": 3.25 / 6, "reward/level1": 1.25 / 5, "reward/level3": 2.0, "kernels/parsed": 4 / 6,
            "kernels/compiled": 3 / 6, "kernels/correct": 1 / 6, "kernels/timeout": 1 / 6, "kernels/fault": 0,
            "kernels/cheated": 1 / 6, "kernels/not_judged": 0,
        }
    )  # fmt: skip


def test_what_was_not_judged_is_counted_and_left_out_of_the_rates():
    reward = KernelReward(ScriptedPool(), PROBLEMS, EvaluationSettings(), seed=0)
    rewards = score(reward, [response(status) for status in ("correct", "not_judged", "wrong", "correct")])
    assert [one.judged for one in rewards] == [True, False, True, True]
    assert rewards[1].value == 0
    means = mean_metrics(rewards)
    assert means["kernels/not_judged"] == 1 / 4
    assert means["kernels/correct"] == pytest.approx(2 / 3)
    assert means["reward/mean"] == pytest.approx(2.2 / 3)
    assert mean_metrics(rewards[1:2]) == {"reward/mean": 0, "kernels/not_judged": 1}


def test_an_unknown_problem_is_named():
    with pytest.raises(WarpsmithError, match="'lost'"):
        KernelReward(ScriptedPool(), PROBLEMS, EvaluationSettings(), 0)([response("correct", "lost")])


def test_a_text_that_is_no_kernel_gets_zero_from_the_real_pool():
    with open_reward("kernel", problems=PROBLEMS, settings=EvaluationSettings(), seed=0) as reward:
        (zero,) = score(reward, [response("I would rather write a poem.")])
    assert (zero.value, zero.status) == (0, "unparsable")


def test_a_function_from_the_profile_replaces_the_built_in():
    name = "tests.training.rollout.rewards.test_rewards:halves"
    with open_reward(name, problems={}, settings=EvaluationSettings(), seed=0) as reward:
        assert [r.value for r in score(reward, [response("a"), response("b")])] == [0.5, 0.5]


def test_bad_rewards_are_refused():
    with pytest.raises(WarpsmithError, match="gave 1 rewards for 2"):
        score(lambda responses: [Reward(0.0)], [response("a"), response("b")])
    for value in (math.nan, math.inf):
        with pytest.raises(WarpsmithError, match="'easy'"):
            score(lambda responses, value=value: [Reward(value)], [response("a")])


def test_numbers_of_numpy_and_torch_become_floats():
    given = Reward(np.float32(1), metrics={"answers/right": torch.tensor(0.5), "answers/words": np.int64(3)})
    (reward,) = score(lambda responses: [given], [response("a")])
    assert reward == Reward(1.0, metrics={"answers/right": 0.5, "answers/words": 3.0})
    numbers = [reward.value, *reward.metrics.values()]
    assert all(type(number) is float for number in numbers) and json.dumps(numbers)


@pytest.mark.parametrize(
    ("reward", "sentence"),
    [
        (Reward("1"), "gave '1' as the reward; it must be a number"),
        (Reward(None), "gave None as the reward"),
        (Reward(1e300), r"gave 1e\+300 as the reward; it must be a number from -1e9 to 1e9"),
        (Reward(10**400), "as the reward"),
        (Reward(np.ones(2)), r"gave array\(\[1\., 1\.\]\) as the reward"),
        (Reward(torch.ones(2)), r"gave tensor\(\[1\., 1\.\]\) as the reward"),
        (Reward(1.0, status=7), "gave 7 as the status; it must be a str"),
        (Reward(1.0, reason=None), "gave None as the reason"),
        (Reward(1.0, judged=None), "gave None as judged; it must be True or False"),
        (Reward(1.0, metrics=[1.0]), "as the metrics; it must be numbers by name"),
        (Reward(1.0, metrics={"a": "1"}), "gave '1' as the metric a; it must be a number"),
        (Reward(1.0, metrics={"a": math.nan}), "gave nan as the metric a"),
        (Reward(1.0, metrics={5: 1.0}), "gave 5 as a metric's name"),
        (Reward(1.0, metrics={"50%": 1.0}), "gave '50%' as a metric's name; it must be words"),
        (Reward(1.0, metrics={"reward/mean": 1.0}), "gave 'reward/mean' as a metric's name"),
        (Reward(1.0, metrics={"step": 1.0}), "that the step does not log itself"),
        (Reward(1.0, metrics={"train/loss": 1.0}), "that the step does not log itself"),
    ],
)
def test_a_reward_that_cannot_be_trained_on_or_logged_is_refused(reward, sentence):
    with pytest.raises(WarpsmithError, match=f"for a response to 'easy', .*{sentence}"):
        score(lambda responses: [reward], [response("a")])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kernels", "not a built-in name"),
        (":f", "not a built-in name"),
        ("math:", "not a built-in name"),
        (".math:sqrt", "not a built-in name"),
        ("no_such_module:f", "cannot be imported"),
        ("math:no_such_function", "no function"),
        ("math:pi", "no function"),
    ],
)
def test_functions_that_do_not_exist_are_explained(name, message):
    with pytest.raises(WarpsmithError, match=message):
        load_function(name)


def test_no_rewards_have_no_metrics():
    assert mean_metrics([]) == {}
