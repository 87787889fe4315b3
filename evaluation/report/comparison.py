"""What the promotion gate reads of a night's report, whichever task the night was about."""

from __future__ import annotations

import json
from typing import Literal, Protocol

import numpy as np

from evaluation.problem import Frozen
from evaluation.report.estimators import Interval, paired_bootstrap
from evaluation.report.figures import Figures
from evaluation.report.findings import Finding
from evaluation.report.math_summary import MathBenchmark
from evaluation.report.summary import Benchmark, Contender
from evaluation.timing.machine import Fingerprint


class Shares(Protocol):
    """What a model's samples amount to."""

    @property
    def samples(self) -> int:
        """How many there are."""
        ...

    @property
    def correct(self) -> float:
        """Share of correct samples."""
        ...

    @property
    def not_judged(self) -> float:
        """Share of samples that the evaluator failed at."""
        ...


class Comparison(Protocol):
    """A trained model beside the one it started from, on the same problems or questions.

    The attributes are those of `evaluation.report.summary.Benchmark`.
    """

    @property
    def start(self) -> Shares: ...  # noqa: D102

    @property
    def trained(self) -> Shares: ...  # noqa: D102

    @property
    def gain(self) -> Interval: ...  # noqa: D102

    @property
    def per_problem(self) -> dict[str, float]: ...  # noqa: D102

    @property
    def figures(self) -> dict[Contender, dict[str, Figures]]: ...  # noqa: D102

    @property
    def findings(self) -> tuple[Finding, ...]: ...  # noqa: D102

    @property
    def fingerprint(self) -> Fingerprint | None: ...  # noqa: D102

    def metrics(self, prefix: str = "eval/heldout") -> dict[str, float]: ...  # noqa: D102


class Pooled(Frozen):
    """Shares over problems and questions together, each counting as one."""

    samples: int
    correct: float
    not_judged: float


class MixedBenchmark(Frozen):
    """A night of both tasks: the gain over all held-out problems and questions decides."""

    task: Literal["mixed"] = "mixed"
    kernels: Benchmark
    math: MathBenchmark
    gain: Interval

    @property
    def start(self) -> Pooled:
        """The model that GRPO started from, over both."""
        return self._pooled(self.kernels.start, self.math.start)

    @property
    def trained(self) -> Pooled:
        """The model after GRPO, over both."""
        return self._pooled(self.kernels.trained, self.math.trained)

    @property
    def per_problem(self) -> dict[str, float]:
        """Of both; their ids differ."""
        return self.kernels.per_problem | self.math.per_problem

    @property
    def figures(self) -> dict[Contender, dict[str, Figures]]:
        """Of both, so that correctness alone can be compared."""
        return _together(self.kernels, self.math)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those about kernels."""
        return self.kernels.findings

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The machine that timed kernels."""
        return self.kernels.fingerprint

    def metrics(self, prefix: str = "eval/heldout") -> dict[str, float]:
        """Those of both under `kernels` and `math`, and what is pooled without a name between."""
        return {
            f"{prefix}/problems": float(self.kernels.problems + self.math.problems),
            f"{prefix}/correct_rate": self.trained.correct,
            f"{prefix}/correct_rate_sft": self.start.correct,
            f"{prefix}/gain": self.gain.mean,
            f"{prefix}/gain_ci_low": self.gain.low,
            f"{prefix}/gain_ci_high": self.gain.high,
            **self.kernels.metrics(f"{prefix}/kernels"),
            **self.math.metrics(f"{prefix}/math"),
        }

    def _pooled(self, kernels: Shares, math: Shares) -> Pooled:
        weights = self.kernels.problems, self.math.problems
        return Pooled(
            samples=kernels.samples + math.samples,
            correct=float(np.average([kernels.correct, math.correct], weights=weights)),
            not_judged=float(np.average([kernels.not_judged, math.not_judged], weights=weights)),
        )


def mixed(kernels: Benchmark, math: MathBenchmark) -> MixedBenchmark:
    """Put the comparisons of a night's two tasks together."""
    figures = _together(kernels, math)
    before, after = (
        np.array([figures[contender][name].correct for name in figures[Contender.START]])
        for contender in (Contender.START, Contender.TRAINED)
    )
    return MixedBenchmark(kernels=kernels, math=math, gain=paired_bootstrap(before, after))


def _together(kernels: Benchmark, math: MathBenchmark) -> dict[Contender, dict[str, Figures]]:
    return {contender: kernels.figures[contender] | math.figures[contender] for contender in Contender}


def read_comparison(text: str) -> Comparison:
    """A report.json of whichever task."""
    kinds: dict[str, type[MathBenchmark | MixedBenchmark]] = {"math": MathBenchmark, "mixed": MixedBenchmark}
    kind = kinds.get(json.loads(text).get("task"))
    return Benchmark.model_validate_json(text) if kind is None else kind.model_validate_json(text)
