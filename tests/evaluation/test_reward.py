"""Rewards rise with progress, and every status has one."""

import pytest
from pydantic import ValidationError

from evaluation.reward import Progress, kernel_reward, progress
from evaluation.settings import EvaluationSettings, RewardSettings
from evaluation.verdict import Measurements, Status, Verdict


def reward(status, settings=None):
    numbers = Measurements(instances=2, max_error=0.1) if status is Status.CORRECT else None
    verdict = Verdict(status=status, reason="", measurements=numbers)
    return kernel_reward(verdict, settings or EvaluationSettings())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.UNPARSABLE, 0.0), (Status.REJECTED, 0.0), (Status.CHEATED, 0.0),
        (Status.COMPILE_ERROR, 0.1), (Status.UNSUPPORTED, 0.1),
        (Status.LAUNCH_ERROR, 0.2), (Status.FAULT, 0.2), (Status.TIMEOUT, 0.2), (Status.WRONG, 0.2),
        (Status.NONDETERMINISTIC, 0.2), (Status.CORRECT, 1.0),
    ],
)  # fmt: skip
def test_default_rewards(status, expected):
    assert reward(status) == expected


@pytest.mark.parametrize(
    ("speedup", "expected"), [(None, 1.0), (1.0, 1.0), (2.0, 1.3), (0.5, 0.7), (1e-9, 0.4), (1e9, 1.9)]
)
def test_a_timed_kernel_gains_by_the_lower_end_of_its_speedup(speedup, expected):
    numbers = Measurements(instances=2, max_error=0.1, speedup=speedup)
    verdict = Verdict(status=Status.CORRECT, reason="", measurements=numbers)
    assert kernel_reward(verdict, EvaluationSettings()) == pytest.approx(expected)


def test_speed_can_be_left_out():
    numbers = Measurements(instances=2, max_error=0.1, speedup=4.0)
    settings = EvaluationSettings(rewards=RewardSettings(speed_weight=0))
    assert kernel_reward(Verdict(status=Status.CORRECT, reason="", measurements=numbers), settings) == 1.0


def test_a_slow_kernel_is_worth_more_than_a_wrong_one():
    with pytest.raises(ValidationError, match="only compiles"):
        RewardSettings(speed_weight=1.0)


def test_every_status_has_a_progress():
    assert {progress(status) for status in Status} == set(Progress)


def test_rewards_come_from_the_settings():
    settings = EvaluationSettings(rewards=RewardSettings(parsed=0, compiled=0, correct=2))
    assert [reward(s, settings) for s in (Status.COMPILE_ERROR, Status.WRONG, Status.CORRECT)] == [0, 0, 2]


def test_rewards_that_do_not_rise_are_refused():
    with pytest.raises(ValidationError, match="must rise"):
        RewardSettings(compiled=1.0)
