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

from data import elementwise_kernels, matmul_kernels, row_kernels
from data.generator import Generated
from data.graph import Graph, Layout
from data.operators import Family
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


def styles(graph: Graph) -> tuple[KernelStyle, ...]:
    """The styles that fit a graph; `unguarded` and `per_output` always do."""
    always = (KernelStyle.UNGUARDED, KernelStyle.PER_OUTPUT)
    if graph.core is None:
        wide = () if graph.layout is Layout.BROADCAST else (KernelStyle.VECTORIZED,)
        return (*always, KernelStyle.GRID_STRIDE, *wide)
    family = graph.steps[graph.core].operator.family
    if family in (Family.MATMUL, Family.TRANSPOSE):
        return (*always, KernelStyle.SHARED)
    if family is Family.SCAN:
        return (*always, KernelStyle.SHUFFLE)
    return (*always, KernelStyle.SHARED, KernelStyle.SHUFFLE)


def write(graph: Graph, style: KernelStyle) -> str:
    """The `.cu` source of a graph in a style; raises ValueError for a style that does not fit."""
    if style not in styles(graph):
        raise ValueError(f"no {style} kernel for {graph.operators} in layout {graph.layout}")
    guarded = style is not KernelStyle.UNGUARDED
    if graph.core is None:
        return _write_elementwise(graph, style, guarded=guarded)
    family = graph.steps[graph.core].operator.family
    if family is Family.MATMUL:
        if style is KernelStyle.SHARED:
            return matmul_kernels.tiled(graph, graph.core)
        return matmul_kernels.per_output(graph, graph.core, guarded=guarded)
    if family is Family.TRANSPOSE:
        if style is KernelStyle.SHARED:
            return elementwise_kernels.transpose_shared(graph)
        return elementwise_kernels.transpose(graph, guarded=guarded)
    return _write_rows(graph, graph.core, style, guarded=guarded)


def _write_elementwise(graph: Graph, style: KernelStyle, *, guarded: bool) -> str:
    if style is KernelStyle.GRID_STRIDE:
        return elementwise_kernels.grid_stride(graph)
    if style is KernelStyle.VECTORIZED:
        return elementwise_kernels.vectorized(graph)
    return elementwise_kernels.per_output(graph, guarded=guarded)


def _write_rows(graph: Graph, core: int, style: KernelStyle, *, guarded: bool) -> str:
    if style is KernelStyle.SHARED:
        return row_kernels.row_shared(graph, core)
    if style is KernelStyle.SHUFFLE:
        return row_kernels.row_shuffle(graph, core)
    return row_kernels.per_row(graph, core, guarded=guarded)


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
    chosen = [KernelStyle.UNGUARDED] if any(plain) else []
    weights = {style: settings.style_weights.get(style, 0) for style in styles(graph) if style in _GUARDED}
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
