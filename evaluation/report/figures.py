"""What each problem's samples amount to, by which two models are compared problem by problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from evaluation.problem import Frozen
from evaluation.verdict import Verdict


class Judged(Protocol):
    """A sample, as far as figures need it."""

    @property
    def problem_id(self) -> str:
        """The problem that it answers."""

    @property
    def checks(self) -> Verdict:
        """The verdict that counts."""

    @property
    def speedup(self) -> float | None:
        """`None` if the kernel is not correct, or was not timed."""


class Figures(Frozen):
    """One model's samples of one problem."""

    correct: float
    """Share of samples that are correct."""
    fast_1: float | None = None
    """Share that is correct and no slower than the baseline; `None` where nothing was timed."""
    log_speedup: float | None = None
    """Mean of the natural logarithm of the speed-up, in which a failure counts as 1x."""


def figures_of(samples: Iterable[Judged], *, timed: bool) -> dict[str, Figures]:
    """The figures of one model's samples, by problem.

    Args:
        samples: of one model.
        timed: whether kernels were timed at all; else a figure of speed would be one of nothing.
    """
    by_problem: dict[str, list[Judged]] = {}
    for sample in samples:
        by_problem.setdefault(sample.problem_id, []).append(sample)
    return {problem: _figures(found, timed) for problem, found in by_problem.items()}


def _figures(samples: Sequence[Judged], timed: bool) -> Figures:
    correct = float(np.mean([sample.checks.correct for sample in samples]))
    if not timed:
        return Figures(correct=correct)
    speedups = [sample.speedup for sample in samples]
    return Figures(
        correct=correct,
        fast_1=float(np.mean([s is not None and s >= 1 for s in speedups])),
        log_speedup=float(np.mean([0.0 if s is None else np.log(s) for s in speedups])),
    )
