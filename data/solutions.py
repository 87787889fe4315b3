"""Writes kernels for generated programs and lets the evaluator verify every one of them.

A kernel enters the SFT set only with a `correct` verdict: guarded styles at the ragged check sizes,
`unguarded` at the aligned sizes, where an exact grid is right. A kernel that fails is a bug of its
template, so it is left out and counted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data.generator import Generated
from data.graph import Graph
from data.kernels.writing import styles, write
from data.settings import DataSettings, KernelStyle
from evaluation.check import SizeSet
from evaluation.pool import ProgressCallback, Request
from evaluation.problem import Problem
from evaluation.verdict import Verdict

_GUARDED = tuple(style for style in KernelStyle if style is not KernelStyle.UNGUARDED)


class Evaluator(Protocol):
    """What is needed of `evaluation.pool.EvaluationPool`."""

    def evaluate(
        self,
        requests: Sequence[Request],
        *,
        seed: int,
        sizes: SizeSet = ...,
        progress: ProgressCallback | None = ...,
    ) -> list[Verdict]:
        """One verdict per request, in order."""


@dataclass(frozen=True)
class Solution:
    """A kernel for a problem, as the response that a model should give."""

    problem: Problem
    style: KernelStyle
    response: str

    @property
    def sizes(self) -> SizeSet:
        """The sizes at which it has to be correct."""
        return SizeSet.ALIGNED if self.style is KernelStyle.UNGUARDED else SizeSet.CHECKS


@dataclass(frozen=True)
class Failure:
    """A kernel that its verdict refused."""

    solution: Solution
    verdict: Verdict


def respond(source: str) -> str:
    """A source as a response: one fenced block and nothing else."""
    return f"```cuda\n{source}```"


def write_solutions(
    problems: Sequence[Generated], settings: DataSettings, rng: random.Random
) -> list[Solution]:
    """Up to `sft_rows` kernels for the problems: single operators first, then the others at random.

    The n-th kernel is unguarded where the running total of `unguarded_share` passes a whole number,
    so the share is met exactly and nothing is drawn for it.
    """
    composed = [item for item in problems if item.problem.level > 1]
    rng.shuffle(composed)
    ordered = [item for item in problems if item.problem.level == 1] + composed
    solutions: list[Solution] = []
    for item in ordered:
        room = min(settings.kernels_per_problem, settings.sft_rows - len(solutions))
        for style in _choose_styles(item.graph, len(solutions), room, settings, rng):
            solutions.append(Solution(item.problem, style, respond(write(item.graph, style))))
    return solutions


def _choose_styles(
    graph: Graph, written: int, count: int, settings: DataSettings, rng: random.Random
) -> list[KernelStyle]:
    """Different styles for one problem, given how many kernels were written before it."""
    share = settings.unguarded_share
    plain = [int((n + 1) * share) > int(n * share) for n in range(written, written + count)]
    fitting = styles(graph)
    chosen = [KernelStyle.UNGUARDED] if any(plain) and KernelStyle.UNGUARDED in fitting else []
    weights = {style: settings.style_weights.get(style, 0) for style in fitting if style in _GUARDED}
    for _ in range(plain.count(False)):
        left = [style for style in weights if weights[style] > 0 and style not in chosen]
        if left:
            chosen.append(rng.choices(left, [weights[style] for style in left])[0])
    return chosen


def verify(
    solutions: Sequence[Solution],
    pool: Evaluator,
    seed: int,
    progress: ProgressCallback | None = None,
) -> tuple[list[Solution], list[Failure]]:
    """Evaluate every solution at its sizes; the correct ones in order, and the failures."""
    verdicts: dict[int, Verdict] = {}
    for sizes in (SizeSet.ALIGNED, SizeSet.CHECKS):
        indices = [index for index, item in enumerate(solutions) if item.sizes is sizes]
        requests = [Request(solutions[index].problem, solutions[index].response) for index in indices]
        report = _shifted(progress, len(verdicts), len(solutions))
        judged = pool.evaluate(requests, seed=seed, sizes=sizes, progress=report)
        verdicts.update(zip(indices, judged, strict=True))
    pairs = [(item, verdicts[index]) for index, item in enumerate(solutions)]
    correct = [item for item, verdict in pairs if verdict.correct]
    return correct, [Failure(item, verdict) for item, verdict in pairs if not verdict.correct]


def _shifted(progress: ProgressCallback | None, before: int, total: int) -> ProgressCallback | None:
    """Progress over both size sets, for the evaluation of one of them."""
    if progress is None:
        return None
    report = progress
    return lambda done, _: report(before + done, total)
