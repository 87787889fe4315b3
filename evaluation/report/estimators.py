"""Estimators of a benchmark: pass@k, fast_p, and the paired bootstrap that decides what is noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.problem import Frozen

#: Resamples of the bootstrap; the interval's ends then move by about 1e-3 between seeds.
RESAMPLES = 10_000


class Interval(Frozen):
    """A point estimate with the ends of its interval, of 95 % unless something else is said."""

    mean: float
    low: float
    high: float


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that at least one of `k` samples is correct.

    1 - C(n-c, k) / C(n, k) for c correct among n samples (Chen et al., arXiv 2107.03374).

    Raises:
        ValueError: if `k` exceeds the number of samples, for which no unbiased estimate exists.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples a problem, not {samples}")
    if samples - correct < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1)))


def fast_p(speedups: Sequence[float | None], threshold: float) -> float:
    """Share of samples that are correct and at least `threshold` times as fast as the baseline.

    `None` stands for an incorrect sample, which counts as not fast (KernelBench, arXiv 2502.10517;
    there the comparison is strict, here `fast_0` is the correct rate).
    """
    if not speedups:
        return 0.0
    return sum(s is not None and s >= threshold for s in speedups) / len(speedups)


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean by logarithms, which neither overflow nor let one outlier rule.

    Raises:
        ValueError: if there are no values, or one that is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError("a geometric mean needs positive values")
    return float(np.exp(np.mean(np.log(np.asarray(values, dtype=np.float64)))))


def paired_bootstrap(
    before: NDArray[np.float64], after: NDArray[np.float64], *, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean gain `after - before` over problems, with its percentile interval.

    Problems are resampled, not samples: both arrays hold one value a problem (the share of its
    samples that are correct), so the difficulty of a problem cancels in the difference.

    Args:
        before: float64[problems].
        after: float64[problems], in the same order.
        seed: of the resampling alone.
        level: how often such an interval holds the true gain.
    """
    if before.shape != after.shape or before.ndim != 1 or before.size == 0:
        raise ValueError("the paired bootstrap needs two equally long, non-empty vectors")
    gain = after - before
    rng = np.random.default_rng(seed)
    means = gain[rng.integers(0, gain.size, (RESAMPLES, gain.size))].mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return Interval(mean=float(gain.mean()), low=float(low), high=float(high))
