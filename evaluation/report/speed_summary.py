"""How fast a model's kernels are: fast_p, geometric means, and the share of the roofline.

A mean over correct kernels alone would reward a model that only tries what is easy, and a mean of ratios one
lucky outlier. So the headline is the geometric mean in which every failure counts as 1x (the program as it
was), and the fast_p curve shows how it comes about (KernelBench, arXiv 2502.10517).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.problem import Frozen
from evaluation.report.estimators import fast_p, geometric_mean

THRESHOLDS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0)
"""Speed-ups at which the fast_p curve is given; fast_0 is the share of correct samples."""


class Speeds(Frozen):
    """Speed-ups over the fastest baseline, by the lower ends of their intervals."""

    timed: int
    """Samples with a speed-up."""
    geometric_mean: float
    """Over all samples; one that is not correct, or was not timed, counts as 1."""
    geometric_mean_correct: float
    """Over the timed samples."""
    fast_p: dict[float, float]
    """Share of samples that are correct and at least so many times as fast as the baseline."""
    roofline: float | None
    """Median share of the speed that the roofline allows, over the timed samples."""
    by_group: dict[str, float]
    """The geometric mean over all samples, by level and by operator."""

    def metrics(self) -> dict[str, float]:
        """Headline numbers by name."""
        found = {
            "speedup": self.geometric_mean,
            "speedup_correct": self.geometric_mean_correct,
            **{f"fast_{p:g}": share for p, share in self.fast_p.items()},
        }
        return found if self.roofline is None else found | {"roofline": self.roofline}


def summarise_speeds(
    speedups: Sequence[float | None],
    correct: Sequence[bool],
    rooflines: Sequence[float | None],
    groups: Sequence[Sequence[str]],
) -> Speeds | None:
    """Reduce the samples of one model; `None` where none was timed.

    Args:
        speedups: of each sample; `None` for one that is not correct or was not timed.
        correct: whether each sample is correct.
        rooflines: share of the roofline of each sample, if known.
        groups: the groups that each sample counts in.
    """
    timed = [s for s in speedups if s is not None]
    if not timed:
        return None
    counted = [1.0 if s is None else s for s in speedups]
    members: dict[str, list[float]] = {}
    for value, names in zip(counted, groups, strict=True):
        for name in names:
            members.setdefault(name, []).append(value)
    known = [share for share in rooflines if share is not None]
    return Speeds(
        timed=len(timed),
        geometric_mean=geometric_mean(counted),
        geometric_mean_correct=geometric_mean(timed),
        fast_p={p: fast_p(speedups, p) if p else float(np.mean(correct)) for p in THRESHOLDS},
        roofline=float(np.median(known)) if known else None,
        by_group={name: geometric_mean(values) for name, values in sorted(members.items())},
    )
