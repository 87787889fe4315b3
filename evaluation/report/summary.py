"""From verdicts to a benchmark: rates, gains with their noise, and why kernels fail.

A benchmark compares a trained model with the model it started from on the same problems. Each
response is judged twice: at ragged sizes, which decide, and at aligned sizes, so that robustness
(bounds guards) can be told apart from getting the computation right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen, Problem
from evaluation.report.estimators import Interval, paired_bootstrap, pass_at_k
from evaluation.report.figures import Figures, figures_of
from evaluation.report.findings import Finding, hacks
from evaluation.report.speed_summary import Speeds, summarise_speeds
from evaluation.timing.machine import Fingerprint
from evaluation.timing.samples import Timing
from evaluation.verdict import Status, Verdict

#: A launch whose grid is a plain division: correct only where the size is a multiple of the block.
_EXACT_GRID = re.compile(r"^\s*//\s*launch\s+\w+\s*<<<[\w\s*]+/\s*\d+\s*,", re.MULTILINE)


class Contender(StrEnum):
    """Whose response a sample is."""

    START = "start"  #: the model that GRPO started from
    TRAINED = "trained"  #: the model after GRPO


class Sample(Frozen):
    """One response and its verdicts."""

    problem_id: str
    contender: Contender
    index: int
    response: str
    checks: Verdict
    """At ragged sizes: the verdict that counts."""
    aligned: Verdict
    """At aligned sizes."""
    timing: Timing | None = None
    """What was measured of it, if it is correct and was timed."""

    @property
    def roofline(self) -> float | None:
        """Share of the speed that the roofline allows, if it was timed."""
        return self.timing.roofline_fraction if self.timing else None

    @property
    def speedup(self) -> float | None:
        """Lower end of the speed-up's interval; `None` if the kernel is not correct, or was not timed."""
        return self.checks.measurements.speedup if self.checks.measurements else None


class OtherMachineError(WarpsmithError):
    """Times of two machines are not comparable."""


class Rates(Frozen):
    """What one contender's samples amount to."""

    samples: int
    correct: float
    """correct@1: the share of samples that are correct, averaged over problems."""
    correct_aligned: float
    pass_at_k: dict[int, float]
    unguarded: float
    """Share of samples that launch an exact grid: a plain division, right at aligned sizes only."""
    statuses: dict[Status, int]
    by_group: dict[str, float]
    """correct@1 by level and by operator, e.g. `level/2`, `operator/relu`."""
    pass_by_group: dict[str, dict[int, float]] = Field(default_factory=dict)
    """pass@k by the same groups."""
    speeds: Speeds | None = None
    """`None` where nothing was timed."""

    @property
    def not_judged(self) -> float:
        """Share of samples that the evaluator failed at; they count as not correct."""
        return self.statuses.get(Status.NOT_JUDGED, 0) / self.samples

    @property
    def cheated(self) -> float:
        """Share of samples that were caught cheating."""
        return self.statuses.get(Status.CHEATED, 0) / self.samples

    def metrics(self, prefix: str) -> dict[str, float]:
        """Headline numbers of a model by itself, under slash-grouped names."""
        found = {"correct_rate": self.correct, "correct_rate_aligned": self.correct_aligned}
        found["not_judged"] = self.not_judged
        found |= {f"pass_at_{k}": share for k, share in self.pass_at_k.items()}
        found |= self.speeds.metrics() if self.speeds is not None else {}
        return {f"{prefix}/{name}": value for name, value in found.items()}


class Benchmark(Frozen):
    """The comparison that the report shows and the promotion gate reads."""

    problems: int
    samples_per_problem: int
    start: Rates
    trained: Rates
    gain: Interval
    """Of correct@1 at ragged sizes: the headline."""
    gain_aligned: Interval
    """Of correctness at aligned sizes, where bounds guards do not matter."""
    gain_fast_1: Interval | None = None
    """Of fast_1: correct and no slower than the baseline; none if nothing was timed."""
    per_problem: dict[str, float]
    """Share of correct samples of the trained model, by problem id: the gate pairs on it."""
    figures: dict[Contender, dict[str, Figures]] = Field(default_factory=dict)
    """Of both models by problem id: what is compared pair by pair; empty in reports of before."""
    findings: tuple[Finding, ...] = ()
    """Why the trained model's figures may not be believed."""
    fingerprint: Fingerprint | None = None
    """The machine that timed; `None` where nothing was timed."""

    def metrics(self, prefix: str = "eval/heldout") -> dict[str, float]:
        """Headline numbers under slash-grouped names, for the manifest and MLflow."""
        return {
            f"{prefix}/problems": float(self.problems),
            f"{prefix}/samples_per_problem": float(self.samples_per_problem),
            f"{prefix}/correct_rate": self.trained.correct,
            f"{prefix}/correct_rate_sft": self.start.correct,
            f"{prefix}/gain": self.gain.mean,
            f"{prefix}/gain_ci_low": self.gain.low,
            f"{prefix}/gain_ci_high": self.gain.high,
            f"{prefix}/correct_rate_aligned": self.trained.correct_aligned,
            f"{prefix}/correct_rate_aligned_sft": self.start.correct_aligned,
            f"{prefix}/gain_aligned": self.gain_aligned.mean,
            f"{prefix}/gain_aligned_ci_low": self.gain_aligned.low,
            f"{prefix}/gain_aligned_ci_high": self.gain_aligned.high,
            f"{prefix}/unguarded": self.trained.unguarded,
            f"{prefix}/unguarded_sft": self.start.unguarded,
            f"{prefix}/not_judged": self.trained.not_judged,
            f"{prefix}/not_judged_sft": self.start.not_judged,
            f"{prefix}/cheated": self.trained.cheated,
        } | self._more_metrics(prefix)

    def _more_metrics(self, prefix: str) -> dict[str, float]:
        """pass@k, and the speeds of both models where they were timed."""
        found = {f"{prefix}/pass_at_{k}": v for k, v in self.trained.pass_at_k.items()}
        if self.gain_fast_1 is not None:
            gain = self.gain_fast_1
            found |= {
                f"{prefix}/gain_fast_1": gain.mean,
                f"{prefix}/gain_fast_1_ci_low": gain.low,
                f"{prefix}/gain_fast_1_ci_high": gain.high,
            }
        for rates, suffix in ((self.trained, ""), (self.start, "_sft")):
            if rates.speeds is not None:
                found |= {f"{prefix}/{name}{suffix}": v for name, v in rates.speeds.metrics().items()}
        return found


class Timed(Protocol):
    """A report that may have times."""

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The machine that timed; none where nothing was timed."""
        ...


def require_same_machine(one: Timed, other: Timed) -> None:
    """Refuse to compare times of two machines; benchmarks without times may always be compared.

    Raises:
        OtherMachineError: if both were timed, and not on the same kind of machine.
    """
    if one.fingerprint is None or other.fingerprint is None:
        return
    if one.fingerprint.digest != other.fingerprint.digest:
        raise OtherMachineError(
            f"these benchmarks were timed on different machines ({one.fingerprint.gpu}, driver "
            f"{one.fingerprint.driver}, and {other.fingerprint.gpu}, driver {other.fingerprint.driver}); "
            "time one of them again"
        )


def summarise(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    fingerprint: Fingerprint | None = None,
    leaked: Sequence[Finding] = (),
) -> Benchmark:
    """Reduce the samples of both contenders on `problems` to a `Benchmark`.

    Args:
        problems: those that were asked.
        samples: every judged response.
        fingerprint: the machine that timed, if one did.
        leaked: problems that the trained model may know from its training.

    Raises:
        ValueError: if a problem lacks samples of a contender, or the counts differ: a benchmark over
            unequal samples would compare two different things.
    """
    n = _samples_per_problem(problems, samples, tuple(Contender))
    grouped = {c: [s for s in samples if s.contender is c] for c in Contender}
    ragged = {c: _per_problem(problems, grouped[c], lambda s: s.checks.correct) for c in Contender}
    aligned = {c: _per_problem(problems, grouped[c], lambda s: s.aligned.correct) for c in Contender}
    fast = {c: _per_problem(problems, grouped[c], _is_fast) for c in Contender}
    timed = any(sample.speedup is not None for sample in samples)
    return Benchmark(
        problems=len(problems),
        samples_per_problem=n,
        start=_rates(problems, grouped[Contender.START]),
        trained=_rates(problems, grouped[Contender.TRAINED]),
        gain=paired_bootstrap(ragged[Contender.START], ragged[Contender.TRAINED]),
        gain_aligned=paired_bootstrap(aligned[Contender.START], aligned[Contender.TRAINED]),
        gain_fast_1=paired_bootstrap(fast[Contender.START], fast[Contender.TRAINED]) if timed else None,
        per_problem={p.id: float(v) for p, v in zip(problems, ragged[Contender.TRAINED], strict=True)},
        figures={c: figures_of(grouped[c], timed=timed) for c in Contender},
        findings=(*hacks(grouped[Contender.TRAINED]), *leaked),
        fingerprint=fingerprint,
    )


def rates(problems: Sequence[Problem], samples: Sequence[Sample]) -> Rates:
    """What the samples of a single model amount to.

    Raises:
        ValueError: if the problems do not all have the same number of samples, of one contender.
    """
    _samples_per_problem(problems, samples, tuple({s.contender for s in samples}))
    return _rates(problems, samples)


def _samples_per_problem(
    problems: Sequence[Problem], samples: Sequence[Sample], contenders: Sequence[Contender]
) -> int:
    counts = Counter((s.problem_id, s.contender) for s in samples)
    expected = {(p.id, c) for p in problems for c in contenders}
    if set(counts) != expected or len(set(counts.values())) != 1:
        raise ValueError("every problem needs the same number of samples from each contender")
    return next(iter(counts.values()))


def _per_problem(
    problems: Sequence[Problem], samples: Sequence[Sample], counts: Callable[[Sample], bool]
) -> NDArray[np.float64]:
    """Share of samples that count, float64[problems]."""
    by_problem: dict[str, list[bool]] = {p.id: [] for p in problems}
    for sample in samples:
        by_problem[sample.problem_id].append(counts(sample))
    return np.array([np.mean(by_problem[p.id]) for p in problems])


def _is_fast(sample: Sample) -> bool:
    """Whether a sample counts in fast_1."""
    return sample.speedup is not None and sample.speedup >= 1


def _rates(problems: Sequence[Problem], samples: Sequence[Sample]) -> Rates:
    ragged = _per_problem(problems, samples, lambda s: s.checks.correct)
    n = len(samples) // len(problems)
    by_id = {p.id: p for p in problems}
    return Rates(
        samples=len(samples),
        correct=float(ragged.mean()),
        correct_aligned=float(_per_problem(problems, samples, lambda s: s.aligned.correct).mean()),
        pass_at_k=_pass_at_k(ragged, n),
        unguarded=float(np.mean([bool(_EXACT_GRID.search(s.response)) for s in samples])),
        statuses=dict(Counter(s.checks.status for s in samples)),
        by_group={name: float(np.mean(shares)) for name, shares in _by_group(problems, ragged).items()},
        pass_by_group={name: _pass_at_k(shares, n) for name, shares in _by_group(problems, ragged).items()},
        speeds=summarise_speeds(
            [s.speedup for s in samples],
            [s.checks.correct for s in samples],
            [s.roofline for s in samples],
            [groups_of(by_id[s.problem_id]) for s in samples],
        ),
    )


def _pass_at_k(shares: Iterable[float], n: int) -> dict[int, float]:
    """Mean pass@k over problems with these shares of correct samples among `n`."""
    counts = [round(share * n) for share in shares]
    return {k: float(np.mean([pass_at_k(n, c, k) for c in counts])) for k in (1, 2, 4, 8, 16) if k <= n}


def _by_group(problems: Sequence[Problem], shares: Iterable[float]) -> dict[str, list[float]]:
    """The shares of correct samples of each group's problems; the groups are sorted by name."""
    groups: dict[str, list[float]] = {}
    for problem, share in zip(problems, shares, strict=True):
        for name in groups_of(problem):
            groups.setdefault(name, []).append(share)
    return dict(sorted(groups.items()))


def merit(sample: Sample) -> tuple[bool, float]:
    """What the best of several samples has most of: correct before not, then by speed-up."""
    return sample.checks.correct, sample.speedup or 0.0


def best_samples(samples: Iterable[Sample]) -> dict[tuple[str, Contender], Sample]:
    """The best sample of each problem and contender; the first of equals."""
    best: dict[tuple[str, Contender], Sample] = {}
    for sample in samples:
        key = sample.problem_id, sample.contender
        if key not in best or merit(sample) > merit(best[key]):
            best[key] = sample
    return best


def table(
    problems: Sequence[Problem], samples: Sequence[Sample]
) -> list[dict[str, str | int | float | None]]:
    """The report's table as rows: a problem and a model each, with the best kernel and its verdict."""
    best = best_samples(samples)
    correct: dict[tuple[str, Contender], list[bool]] = {}
    for sample in samples:
        correct.setdefault((sample.problem_id, sample.contender), []).append(sample.checks.correct)
    return [
        {
            "problem": problem.id,
            "level": problem.level,
            "operators": "+".join(problem.operators),
            "model": contender.value,
            "correct_rate": float(np.mean(correct[problem.id, contender])),
            "status": sample.checks.status.value,
            "reason": sample.checks.reason,
            "speedup": sample.speedup,
            "roofline": sample.roofline,
            "milliseconds": sample.timing.candidate.median if sample.timing else None,
            "kernel": sample.response,
        }
        for problem in problems
        for contender in Contender
        if (problem.id, contender) in best
        for sample in [best[problem.id, contender]]
    ]


def groups_of(problem: Problem) -> tuple[str, ...]:
    """The groups that a problem counts in: its level and each of its operators."""
    return (f"level/{problem.level}", *(f"operator/{o}" for o in sorted(set(problem.operators))))
