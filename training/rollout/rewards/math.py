"""The built-in rewards beside `kernel`: `math` compares answers, `mixed` goes by the task of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.errors import WarpsmithError
from evaluation.math.pool import MathPool
from evaluation.math.verdict import MathStatus, MathVerdict
from training.rollout.prompts import PromptRow
from training.rollout.rewards.rewards import Response, Reward, RewardFunction
from training.settings.rollout import KERNEL, MATH

#: Under this name a row's metadata say which task it is of; rows without it are kernels.
TASK = "task"


class MathReward:
    """1 for an answer that equals the row's label, else 0."""

    def __init__(self, pool: MathPool) -> None:
        """Compare with `pool`."""
        self._pool = pool

    def __call__(self, responses: Sequence[Response]) -> list[Reward]:
        """Rewards from verdicts, in the order of the responses."""
        verdicts = self._pool.evaluate([(response.row.label, response.text) for response in responses])
        return [_reward(verdict) for verdict in verdicts]


class MixedReward:
    """Each response by the reward of its row's task."""

    def __init__(self, by_task: Mapping[str, RewardFunction]) -> None:
        """The rewards by the tasks' names."""
        self._by_task = by_task

    def __call__(self, responses: Sequence[Response]) -> list[Reward]:
        """Rewards in the order of the responses; WarpsmithError for a row of a task that is not there."""
        places: dict[str, list[int]] = {}
        for place, response in enumerate(responses):
            places.setdefault(self._task(response.row), []).append(place)
        rewards: dict[int, Reward] = {}
        for task, chosen in places.items():
            given = self._by_task[task]([responses[place] for place in chosen])
            rewards |= zip(chosen, given, strict=True)
        return [rewards[place] for place in range(len(responses))]

    def _task(self, row: PromptRow) -> str:
        task = task_of(row)
        if task not in self._by_task:
            known = " or ".join(self._by_task)
            raise WarpsmithError(
                f"the row with the label {row.label!r:.60} is of the task {task!r}, not {known}"
            )
        return task


def task_of(row: PromptRow) -> str:
    """The task of a row."""
    return str(row.metadata.get(TASK, KERNEL))


def _reward(verdict: MathVerdict) -> Reward:
    if not verdict.judged:
        return Reward(0.0, verdict.status, verdict.reason, judged=False, metrics={f"{MATH}/not_judged": 1.0})
    value = float(verdict.correct)
    metrics = {
        f"{MATH}/not_judged": 0.0,
        f"{MATH}/correct": value,
        f"{MATH}/no_answer": float(verdict.status is MathStatus.NO_ANSWER),
        f"{MATH}/timeout": float(verdict.status is MathStatus.TIMEOUT),
    }
    return Reward(value, verdict.status, verdict.reason, metrics=metrics)
