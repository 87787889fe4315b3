"""From verdicts on answers to a comparison of two models: avg@n, pass@n, maj@n, length and truncation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from evaluation.math.verdict import MathStatus, MathVerdict
from evaluation.problem import Frozen
from evaluation.report.estimators import Interval, paired_bootstrap, pass_at_k
from evaluation.report.figures import Figures
from evaluation.report.findings import Finding
from evaluation.report.summary import Contender
from evaluation.timing.machine import Fingerprint


class MathSample(Frozen):
    """One response to a question, and its verdict."""

    problem_id: str
    contender: Contender
    index: int
    response: str
    tokens: int
    """Of the response, its end included."""
    truncated: bool
    """Whether the token limit ended it."""
    verdict: MathVerdict


class MathRates(Frozen):
    """What one model's samples amount to; all numbers are means over questions."""

    samples: int
    correct: float
    """avg@n: the share of the n samples of a question that are correct."""
    pass_at_k: dict[int, float]
    """Chance that one of k samples is correct."""
    majority: float
    """maj@n: whether the answer that most of the n samples give is correct; tied answers share the vote."""
    length: float
    """Mean tokens of a response."""
    truncated: float
    """Share of responses that the token limit ended."""
    statuses: dict[MathStatus, int]
    by_group: dict[str, float]
    """avg@n by the questions' sources."""

    @property
    def not_judged(self) -> float:
        """Share of samples that the evaluator failed at; they count as not correct."""
        return self.statuses.get(MathStatus.NOT_JUDGED, 0) / self.samples

    def metrics(self, prefix: str, suffix: str = "") -> dict[str, float]:
        """Headline numbers under slash-grouped names."""
        found = {"correct_rate": self.correct, "maj_at_n": self.majority, "not_judged": self.not_judged}
        found |= {"response_length": self.length, "truncated": self.truncated}
        found |= {f"pass_at_{k}": share for k, share in self.pass_at_k.items()}
        return {f"{prefix}/{name}{suffix}": value for name, value in found.items()}


class MathBenchmark(Frozen):
    """The comparison that the report shows and the promotion gate reads."""

    task: Literal["math"] = "math"
    problems: int
    samples_per_problem: int
    start: MathRates
    trained: MathRates
    gain: Interval
    """Of avg@n."""
    per_problem: dict[str, float]
    """Share of correct samples of the trained model, by question."""
    figures: dict[Contender, dict[str, Figures]]
    """Of both models by question: the gate compares pair by pair."""
    findings: tuple[Finding, ...] = ()
    """Why the figures may not be believed: of kernels alone there is anything to find."""
    fingerprint: Fingerprint | None = None
    """Nothing is timed."""

    def metrics(self, prefix: str = "eval/heldout") -> dict[str, float]:
        """Headline numbers under slash-grouped names, for the manifest and MLflow."""
        return {
            f"{prefix}/problems": float(self.problems),
            f"{prefix}/samples_per_problem": float(self.samples_per_problem),
            f"{prefix}/gain": self.gain.mean,
            f"{prefix}/gain_ci_low": self.gain.low,
            f"{prefix}/gain_ci_high": self.gain.high,
            **self.start.metrics(prefix, "_sft"),
            **self.trained.metrics(prefix),
        }


def summarise_math(groups: Mapping[str, str], samples: Sequence[MathSample]) -> MathBenchmark:
    """Reduce the samples of both models; `groups` names each question's source, in their order.

    Raises:
        ValueError: if the questions do not all have the same number of samples of each model.
    """
    counts = Counter((sample.problem_id, sample.contender) for sample in samples)
    wanted = {(problem, contender) for problem in groups for contender in Contender}
    if not groups or set(counts) != wanted or len(set(counts.values())) != 1:
        raise ValueError("every question needs the same number of samples from each model")
    by_model = {
        contender: [sample for sample in samples if sample.contender is contender] for contender in Contender
    }
    shares = {contender: _shares_correct(groups, by_model[contender]) for contender in Contender}
    return MathBenchmark(
        problems=len(groups),
        samples_per_problem=next(iter(counts.values())),
        start=_rates(groups, by_model[Contender.START]),
        trained=_rates(groups, by_model[Contender.TRAINED]),
        gain=paired_bootstrap(
            np.array(list(shares[Contender.START].values())),
            np.array(list(shares[Contender.TRAINED].values())),
        ),
        per_problem=shares[Contender.TRAINED],
        figures={
            contender: {name: Figures(correct=share) for name, share in found.items()}
            for contender, found in shares.items()
        },
    )


def _shares_correct(problems: Iterable[str], samples: Sequence[MathSample]) -> dict[str, float]:
    """The share of correct samples of each question."""
    by_problem = _by_problem(problems, samples)
    return {
        problem: float(np.mean([sample.verdict.correct for sample in found]))
        for problem, found in by_problem.items()
    }


def majority(verdicts: Sequence[MathVerdict]) -> float:
    """Whether the most frequent answer is correct: 1 or 0, or the share of correct ones among tied answers.

    All correct answers are one answer, however they are written; responses without an answer do not vote.
    """
    votes = Counter("" if verdict.correct else verdict.answer for verdict in verdicts if verdict.answer)
    most = max(votes.values(), default=0)
    tied = [answer for answer, count in votes.items() if count == most]
    return tied.count("") / len(tied) if tied else 0.0


def _by_problem(problems: Iterable[str], samples: Sequence[MathSample]) -> dict[str, list[MathSample]]:
    found: dict[str, list[MathSample]] = {problem: [] for problem in problems}
    for sample in samples:
        found[sample.problem_id].append(sample)
    return found


def _rates(groups: Mapping[str, str], samples: Sequence[MathSample]) -> MathRates:
    by_problem, shares = _by_problem(groups, samples), _shares_correct(groups, samples)
    n = len(samples) // len(groups)
    rights = [round(share * n) for share in shares.values()]
    by_group: dict[str, list[float]] = {}
    for problem, group in groups.items():
        by_group.setdefault(group, []).append(shares[problem])
    return MathRates(
        samples=len(samples),
        correct=float(np.mean(list(shares.values()))),
        pass_at_k={
            k: float(np.mean([pass_at_k(n, c, k) for c in rights])) for k in (1, 2, 4, 8, 16) if k <= n
        },
        majority=float(np.mean([majority([one.verdict for one in found]) for found in by_problem.values()])),
        length=float(np.mean([sample.tokens for sample in samples])),
        truncated=float(np.mean([sample.truncated for sample in samples])),
        statuses=dict(Counter(sample.verdict.status for sample in samples)),
        by_group={group: float(np.mean(found)) for group, found in sorted(by_group.items())},
    )
