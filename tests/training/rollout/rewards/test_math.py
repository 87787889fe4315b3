"""The rewards of answers, and of rows of both tasks."""

import pytest

from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from training.rollout.prompts import PromptRow
from training.rollout.rewards.math import MixedReward
from training.rollout.rewards.open import open_reward
from training.rollout.rewards.rewards import Response, Reward, mean_metrics, score


def response(text, label, **metadata):
    row = PromptRow(prompt=({"role": "user", "content": "?"},), label=label, metadata=metadata)
    return Response(row, text)


def test_the_math_reward_is_1_for_an_equal_answer_and_never_raises():
    responses = [
        response(r"\boxed{12}", "12"),
        response(r"\boxed{\frac{24}{2}}", "12"),
        response(r"\boxed{13}", "12"),
        response("nothing", "12"),
        response(r"<think> \boxed{12}", "12"),
        response(r"\boxed{9!!!!!!}", "12"),
        response(r"\boxed{1}", r"\text{}"),
    ]
    with open_reward("math", problems={}, settings=EvaluationSettings(workers=2), seed=0) as reward:
        rewards = score(reward, responses)
    assert [reward.value for reward in rewards] == [1, 1, 0, 0, 0, 0, 0]
    assert [reward.judged for reward in rewards] == [True] * 6 + [False]
    assert [reward.status for reward in rewards] == [
        *("correct", "correct", "wrong", "no_answer", "no_answer", "timeout", "not_judged")
    ]
    assert all(reward.reason for reward in rewards[2:])
    metrics = mean_metrics(rewards)
    assert metrics["reward/mean"] == pytest.approx(2 / 6)
    assert metrics["math/no_answer"] == pytest.approx(2 / 6)
    assert metrics["math/not_judged"] == pytest.approx(1 / 7)


def test_a_mixed_reward_keeps_the_order_and_asks_each_task_for_its_rows():
    def named(value):
        return lambda responses: [Reward(value, reason=one.text) for one in responses]

    reward = MixedReward({"kernel": named(0.25), "math": named(1.0)})
    rows = [response("a", "1", task="math"), response("b", "p"), response("c", "2", task="math")]
    assert [(one.value, one.reason) for one in reward(rows)] == [(1, "a"), (0.25, "b"), (1, "c")]
    with pytest.raises(WarpsmithError, match="of the task 'poetry', not kernel or math"):
        reward([response("d", "3", task="poetry")])
