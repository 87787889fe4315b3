"""Figures that a stranger can set beside published ones: KernelBench's measures, by level and baseline.

fast_p (KernelBench, arXiv 2502.10517) against PyTorch as it stands, torch.compile, and PyTorch with TF32;
geometric means in which a failure counts as 1x; the share of the roofline; and the SOL score: 0 for a kernel
that is not correct, else 1 / (1 + (t - t_sol) / (t_eager - t_sol)), where t_sol is what the roofline allows:
PyTorch's own time gives 0.5 and the roofline 1. Ratios are medians of paired samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.problem import Frozen, Problem
from evaluation.report.estimators import fast_p, geometric_mean
from evaluation.report.speed_summary import THRESHOLDS
from evaluation.report.summary import Sample
from evaluation.timing.machine import Fingerprint
from evaluation.timing.samples import Baseline, Timing

_PROTOCOL = {
    "correct": "judged at drawn ragged sizes and on drawn inputs of several kinds, then at the shipped sizes",
    "fast_p": "share of all samples that are correct and at least p times as fast; any speed for p = 0",
    "times": "CUDA events; kernel and baselines in turn on different inputs, caches cold, outputs compared",
    "geometric mean": "over all samples, where one that is not correct or was not timed counts as 1x",
    "SOL score": "1 / (1 + (t - t_sol) / (t_eager - t_sol)); 0 for what is not correct",
}


class Against(Frozen):
    """Speed-ups over one baseline."""

    geometric_mean: float
    """Over all samples; one that is not correct, or was not timed, counts as 1."""
    geometric_mean_correct: float
    """Over the timed samples."""
    fast_p: dict[float, float]


class Level(Frozen):
    """What the samples of one level, or of all, amount to."""

    name: str
    problems: int
    samples: int
    correct: float
    against: dict[Baseline, Against]
    """Empty where nothing was timed."""
    roofline: float | None
    """Median share of the speed that the roofline allows, over the timed samples."""
    sol: float | None
    """Mean SOL score over all samples; `None` where nothing was timed."""


class KernelBench(Frozen):
    """The report."""

    levels: tuple[Level, ...]
    """All problems first, then level by level."""
    refused: dict[str, str]
    """Problems of the set that were left out, with the reason."""
    machine: Fingerprint | None
    """`None` where nothing was timed."""
    protocol: dict[str, str]
    """How each figure came about, and what the model was asked."""


def kernelbench(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    *,
    refused: Mapping[str, str],
    machine: Fingerprint | None,
    facts: Mapping[str, str],
) -> KernelBench:
    """Reduce one model's samples on `problems`; `facts` join the protocol."""
    level_of = {problem.id: problem.level for problem in problems}
    levels = [_level("all", samples)]
    for level in sorted(set(level_of.values())):
        own = [sample for sample in samples if level_of[sample.problem_id] == level]
        levels += [_level(str(level), own)] if own else []
    return KernelBench(
        levels=tuple(levels), refused=dict(refused), machine=machine, protocol=dict(facts) | _PROTOCOL
    )


def sol_score(timing: Timing) -> float | None:
    """Where a kernel lies between PyTorch (0.5) and the roofline (1); `None` without both of them.

    A baseline at the roofline leaves nothing to gain: then as fast is 0.5, too, and slower is less.
    """
    if timing.roofline_fraction is None or Baseline.EAGER not in timing.baselines:
        return None
    own, eager = timing.candidate.median, timing.baselines[Baseline.EAGER].median
    best = min(own * timing.roofline_fraction, own, eager)
    if own == best:
        return 1.0 if own < eager else 0.5
    return (eager - best) / ((eager - best) + (own - best))


def markdown(report: KernelBench) -> str:
    """The report as a page of tables."""
    lines = ["# Benchmark in KernelBench's measures", ""]
    lines += [f"- {name}: {text}" for name, text in report.protocol.items()]
    lines += [f"- machine: {_machine(report.machine)}", "", *_overview(report.levels)]
    for baseline in report.levels[0].against:
        lines += ["", f"Against {baseline.value.replace('_', ' ')}", "", *_speeds(report.levels, baseline)]
    lines += ["", f"{len(report.refused)} problems of the set were left out."]
    lines += ["", *(f"- `{name}`: {reason}" for name, reason in report.refused.items())]
    return "\n".join(lines).rstrip() + "\n"


def _level(name: str, samples: Sequence[Sample]) -> Level:
    timings = [sample.timing if sample.checks.correct else None for sample in samples]
    timed = [timing for timing in timings if timing is not None and timing.speedups]
    shares = [one.roofline_fraction for one in timed if one.roofline_fraction is not None]
    scores = [(sol_score(timing) if timing else None) or 0.0 for timing in timings]
    correct = [sample.checks.correct for sample in samples]
    return Level(
        name=name,
        problems=len({sample.problem_id for sample in samples}),
        samples=len(samples),
        correct=float(np.mean(correct)),
        against={one: _against(one, timings, correct) for one in _baselines(timed)},
        roofline=float(np.median(shares)) if shares else None,
        sol=float(np.mean(scores)) if timed else None,
    )


def _baselines(timed: Sequence[Timing]) -> list[Baseline]:
    """All that any kernel was timed beside, in the order of their enum."""
    return [name for name in Baseline if any(name in timing.speedups for timing in timed)]


def _against(baseline: Baseline, timings: Sequence[Timing | None], correct: Sequence[bool]) -> Against:
    ratios = [
        timing.speedups[baseline].median if timing and baseline in timing.speedups else None
        for timing in timings
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    return Against(
        geometric_mean=geometric_mean([1.0 if ratio is None else ratio for ratio in ratios]),
        geometric_mean_correct=geometric_mean(known),
        fast_p={p: fast_p(ratios, p) if p else float(np.mean(correct)) for p in THRESHOLDS},
    )


def _overview(levels: Sequence[Level]) -> list[str]:
    head = ["| level | problems | samples | correct | roofline | SOL score |", "|---|---|---|---|---|---|"]
    return head + [
        f"| {level.name} | {level.problems} | {level.samples} | {level.correct:.1%} "
        f"| {_share(level.roofline)} | {'-' if level.sol is None else f'{level.sol:.3f}'} |"
        for level in levels
    ]


def _speeds(levels: Sequence[Level], baseline: Baseline) -> list[str]:
    names = [f"fast_{p:g}" for p in THRESHOLDS]
    head = ["level", *names, "geometric mean", "of the correct"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for level in levels:
        found = level.against.get(baseline)
        if found is not None:
            cells = [f"{found.fast_p[p]:.1%}" for p in THRESHOLDS]
            cells += [f"{found.geometric_mean:.3f}x", f"{found.geometric_mean_correct:.3f}x"]
            lines.append(f"| {' | '.join([level.name, *cells])} |")
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _machine(machine: Fingerprint | None) -> str:
    if machine is None:
        return "a CPU, which judges and times nothing"
    facts = {name: value for name, value in machine.model_dump().items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in facts.items())
