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


def test_every_status_has_a_progress():
    assert {progress(status) for status in Status} == set(Progress)


def test_rewards_come_from_the_settings():
    settings = EvaluationSettings(rewards=RewardSettings(parsed=0, compiled=0, correct=2))
    assert [reward(s, settings) for s in (Status.COMPILE_ERROR, Status.WRONG, Status.CORRECT)] == [0, 0, 2]


def test_rewards_that_do_not_rise_are_refused():
    with pytest.raises(ValidationError, match="must rise"):
        RewardSettings(compiled=1.0)
