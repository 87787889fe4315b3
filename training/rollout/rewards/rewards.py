"""Reward functions: what a response is worth, and what to log about it.

A reward function takes all responses of a rollout at once, because judging kernels is parallel and
identical answers are judged once. `kernel` is here, `math` and `mixed` in math.py; a profile can name any
other as `module:function` (open.py).
"""

from __future__ import annotations

import importlib
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, SupportsFloat

from evaluation.errors import WarpsmithError
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Problem
from evaluation.reward import Progress, kernel_reward, progress
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Status, Verdict
from training.rollout.prompts import PromptRow

#: How far a kernel can get, in order, with the name under which the rate of getting there is logged.
_MILESTONES = (Progress.PARSED, Progress.COMPILED, Progress.CORRECT)
_NOT_JUDGED = "kernels/not_judged"
#: Largest size of a number: advantages square rewards in float32.
_LARGEST = 1e9
#: What MLflow takes as a metric's name.
_METRIC_NAME = re.compile(r"[\w.: -]+(/[\w.: -]+)*", re.ASCII)
#: Names and groups that a step or an evaluation logs itself.
_OUR_METRICS = frozenset(
    ("step", "samples", "truncated", "response_length_mean", "reward/mean", "reward/std", "reward/best")
)
_OUR_GROUPS = ("eval", "perf", "rollout", "train")


@dataclass(frozen=True, slots=True)
class Response:
    """A model's answer to a prompt."""

    row: PromptRow
    text: str


@dataclass(frozen=True, slots=True)
class Reward:
    """What one response is worth."""

    value: float
    """The reward; any number from -1e9 to 1e9."""
    status: str = ""
    """One word for the outcome, for the record of rollouts."""
    reason: str = ""
    """Why, for a person who reads that record."""
    judged: bool = True
    """Whether the value says anything of the response. Where the judge itself failed it does not: within its
    group the response then counts as the mean of the others, so that nothing is learnt from it."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Slash-grouped numbers; a step logs each name's mean over the responses that have it. What the step logs
    itself (`reward/mean`, `rollout/...`, `train/...`, ...) cannot be given."""


class RewardFunction(Protocol):
    """Anything that rewards responses, in their order."""

    def __call__(self, responses: Sequence[Response]) -> Sequence[Reward]:
        """One reward for each response."""
        ...


class KernelReward:
    """Executes each kernel against its problem's reference; the row's label is the problem's id."""

    def __init__(
        self,
        pool: EvaluationPool,
        problems: Mapping[str, Problem],
        settings: EvaluationSettings,
        seed: int,
    ) -> None:
        """Judge with `pool`; one `seed` of the trial inputs for the whole run, so that its cache can help."""
        self._pool = pool
        self._problems = problems
        self._settings = settings
        self._seed = seed

    def __call__(self, responses: Sequence[Response]) -> list[Reward]:
        """Rewards from verdicts; WarpsmithError if a label names no problem."""
        requests = [Request(self._problem(response.row), response.text) for response in responses]
        verdicts = self._pool.evaluate(requests, seed=self._seed)
        return [
            self._reward(request.problem, verdict)
            for request, verdict in zip(requests, verdicts, strict=True)
        ]

    def _problem(self, row: PromptRow) -> Problem:
        try:
            return self._problems[row.label]
        except KeyError:
            raise WarpsmithError(
                f"a prompt's label names the problem {row.label!r}, which is not in problems.jsonl; "
                "run the prepare stage again"
            ) from None

    def _reward(self, problem: Problem, verdict: Verdict) -> Reward:
        if not verdict.judged:
            return Reward(0.0, verdict.status, verdict.reason, judged=False, metrics={_NOT_JUDGED: 1.0})
        value = kernel_reward(verdict, self._settings)
        metrics = _kernel_metrics(verdict) | {f"reward/level{problem.level}": value}
        return Reward(value, verdict.status, verdict.reason, metrics=metrics)


def _kernel_metrics(verdict: Verdict) -> dict[str, float]:
    """Indicators whose means are the rates of a step."""
    reached = list(Progress).index(progress(verdict.status))
    metrics = {
        f"kernels/{milestone}": float(reached >= list(Progress).index(milestone)) for milestone in _MILESTONES
    }
    metrics[_NOT_JUDGED] = 0.0
    for status in (Status.TIMEOUT, Status.FAULT, Status.CHEATED):
        metrics[f"kernels/{status}"] = float(verdict.status is status)
    if verdict.measurements is not None and verdict.measurements.speedup is not None:
        metrics["kernels/fast_1"] = float(verdict.measurements.speedup > 1)
    return metrics


def score(function: RewardFunction, responses: Sequence[Response]) -> list[Reward]:
    """Call a reward function and check what it gives: a reward for each response."""
    rewards = function(responses)
    if not isinstance(rewards, Sequence) or not all(isinstance(reward, Reward) for reward in rewards):
        raise WarpsmithError(
            f"the reward function gave {rewards!r:.60}; it must return a sequence of "
            "training.rollout.rewards.rewards.Reward"
        )
    if len(rewards) != len(responses):
        raise WarpsmithError(
            f"the reward function gave {len(rewards)} rewards for {len(responses)} responses; "
            "return one for each"
        )
    return [
        checked_reward(reward, f"the reward function, for a response to {response.row.label!r:.60},")
        for response, reward in zip(responses, rewards, strict=True)
    ]


def checked_reward(reward: Reward, giver: str) -> Reward:
    """The reward with its numbers, which may be numpy's or torch's, as floats.

    Raises WarpsmithError, which says that `giver` gave it, for what cannot be trained on or logged.
    """
    value = _number(reward.value)
    if value is None:
        raise _wrong(giver, "the reward", reward.value, "a number from -1e9 to 1e9")
    for name, text in (("status", reward.status), ("reason", reward.reason)):
        if not isinstance(text, str):
            raise _wrong(giver, f"the {name}", text, "a str")
    if not isinstance(reward.metrics, Mapping):
        raise _wrong(giver, "the metrics", reward.metrics, "numbers by name")
    metrics = {name: _checked_metric(name, metric, giver) for name, metric in reward.metrics.items()}
    if not isinstance(reward.judged, bool):
        raise _wrong(giver, "judged", reward.judged, "True or False")
    return replace(reward, value=value, metrics=metrics)


def _checked_metric(name: object, value: object, giver: str) -> float:
    if not isinstance(name, str) or not _METRIC_NAME.fullmatch(name):
        raise _wrong(giver, "a metric's name", name, "words (letters, digits, '_', '-', '.') between slashes")
    if name in _OUR_METRICS or name.split("/")[0] in _OUR_GROUPS:
        raise _wrong(giver, "a metric's name", name, "a name that the step does not log itself")
    number = _number(value)
    if number is None:
        raise _wrong(giver, f"the metric {name}", value, "a number from -1e9 to 1e9; leave out what has none")
    return number


def _number(value: object) -> float | None:
    """`value` as a float, if it is one number that can be reckoned with."""
    if not isinstance(value, SupportsFloat):  # a str is not, though float() would read it
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):  # an array or a tensor of several
        return None
    return number if abs(number) <= _LARGEST else None


def _wrong(giver: str, what: str, given: object, wanted: str) -> WarpsmithError:
    return WarpsmithError(f"{giver} gave {given!r:.60} as {what}; it must be {wanted}")


def mean_metrics(rewards: Sequence[Reward]) -> dict[str, float]:
    """Mean of every metric over the rewards that have it, and `reward/mean` over what was judged."""
    values: dict[str, list[float]] = defaultdict(list)
    if rewards:
        values["reward/mean"] = [reward.value for reward in rewards if reward.judged] or [0.0]
    for reward in rewards:
        for name, value in reward.metrics.items():
            values[name].append(value)
    return {name: math.fsum(numbers) / len(numbers) for name, numbers in values.items()}


def load_function(reference: str) -> Callable[..., Any]:
    """The function that `module:function` names; WarpsmithError if there is none."""
    module_name, _, name = reference.partition(":")
    if not name or not module_name or module_name.startswith("."):  # a relative import of what?
        raise WarpsmithError(f"{reference!r} is not a built-in name, nor of the form module:function")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module does while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise WarpsmithError(
            f"{reference!r}: the module cannot be imported ({reason}); is it on the path?"
        ) from error
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise WarpsmithError(f"{reference!r}: {module_name} has no function {name}")
    return function
