"""The reward function that a profile names, with what it needs to judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from evaluation.math.pool import MathPool
from evaluation.problem import Problem
from evaluation.report.drafts import open_pool
from evaluation.settings import EvaluationSettings
from evaluation.timing.samples import REWARD
from training.rollout.rewards.math import MathReward, MixedReward
from training.rollout.rewards.rewards import KernelReward, RewardFunction, load_function
from training.settings.rollout import BUILT_IN, KERNEL, MATH, MIXED


@contextmanager
def open_reward(
    name: str, *, problems: Mapping[str, Problem], settings: EvaluationSettings, seed: int
) -> Iterator[RewardFunction]:
    """`kernel`, `math` or `mixed`, with their worker processes, or `module:function`."""
    if name not in BUILT_IN:
        yield load_function(name)
        return
    by_task: dict[str, RewardFunction] = {}
    with ExitStack() as stack:
        if name in (KERNEL, MIXED):
            timing = REWARD if settings.rewards.speed_weight else None
            pool = stack.enter_context(open_pool(settings, timing))
            by_task[KERNEL] = KernelReward(pool, problems, settings, seed)
        if name in (MATH, MIXED):
            by_task[MATH] = MathReward(stack.enter_context(open_math_pool(settings)))
        yield MixedReward(by_task) if name == MIXED else by_task[name]


def open_math_pool(settings: EvaluationSettings) -> MathPool:
    """What compares answers, with the workers and the confinement of the settings."""
    return MathPool(settings.workers, require_confinement=settings.require_confinement)
