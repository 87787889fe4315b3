"""From a verdict to GRPO's reward, and to how far the candidate got."""

from __future__ import annotations

from enum import StrEnum
from math import log2

from evaluation.settings import EvaluationSettings, RewardSettings
from evaluation.verdict import Status, Verdict


class Progress(StrEnum):
    """How far a candidate got; each includes those before it."""

    NOTHING = "nothing"  #: no candidate, or one that breaks the contract
    PARSED = "parsed"  #: a candidate that the backend could not compile, or cannot judge
    COMPILED = "compiled"  #: compiled, but failed to launch, to finish, or to be right
    CORRECT = "correct"


_PROGRESS: dict[Status, Progress] = {
    Status.UNPARSABLE: Progress.NOTHING,
    Status.REJECTED: Progress.NOTHING,
    Status.CHEATED: Progress.NOTHING,
    Status.NOT_JUDGED: Progress.NOTHING,
    Status.COMPILE_ERROR: Progress.PARSED,
    Status.UNSUPPORTED: Progress.PARSED,
    Status.LAUNCH_ERROR: Progress.COMPILED,
    Status.TIMEOUT: Progress.COMPILED,
    Status.FAULT: Progress.COMPILED,
    Status.WRONG: Progress.COMPILED,
    Status.NONDETERMINISTIC: Progress.COMPILED,
    Status.CORRECT: Progress.CORRECT,
}


def progress(status: Status) -> Progress:
    """How far a candidate with this status got."""
    return _PROGRESS[status]


def kernel_reward(verdict: Verdict, settings: EvaluationSettings) -> float:
    """The reward of one response: 0 for nothing, then as `settings.rewards` says (0.1, 0.2, 1 by default).

    Shaping by progress gives a group signal before its first correct kernel; correctness outweighs it, so
    that a kernel which merely compiles is never worth aiming for. A correct kernel that was timed gains or
    loses by its speed-up (see `RewardSettings.speed_weight`).
    """
    rewards = settings.rewards
    match progress(verdict.status):
        case Progress.NOTHING:
            return 0.0
        case Progress.PARSED:
            return rewards.parsed
        case Progress.COMPILED:
            return rewards.compiled
        case Progress.CORRECT:
            return rewards.correct + _speed_reward(verdict, rewards)


def _speed_reward(verdict: Verdict, rewards: RewardSettings) -> float:
    """What the speed-up adds to a correct kernel's reward; 0 for one that was not timed."""
    speedup = verdict.measurements.speedup if verdict.measurements else None
    if speedup is None:
        return 0.0
    return rewards.speed_weight * log2(min(max(speedup, rewards.slowest), rewards.fastest))
