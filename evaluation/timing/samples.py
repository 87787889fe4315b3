"""What is measured of a candidate: times, their intervals, and when they are enough.

Times are compared pair by pair: a candidate's sample with the baseline's that was taken right after it, so
that clocks and temperature cancel. Medians come with distribution-free 95 % intervals from order statistics
(Conover, Practical Nonparametric Statistics, 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import ceil, floor, sqrt

import numpy as np
from pydantic import Field

from evaluation.marks import Result
from evaluation.problem import Frozen
from evaluation.timing.machine import ClockSample
from evaluation.verdict import Refusal, Status

_NORMAL_95 = 1.96


class Baseline(StrEnum):
    """What a candidate is compared with, at the same precision but where its name says otherwise."""

    EAGER = "eager"  #: PyTorch as the program stands
    COMPILE = "compile"  #: the same through torch.compile
    EAGER_TF32 = "eager_tf32"  #: PyTorch as it stands, with TF32 for float32 matrix products and convolutions
    SELF = "self"  #: the candidate itself: what the method's own noise is (self-test)


class TimingSettings(Frozen):
    """When to stop sampling, and what to compare with."""

    baselines: Result[tuple[Baseline, ...]] = (Baseline.EAGER,)
    """The speed-up is over the fastest of those at the same precision."""
    min_samples: Result[int] = Field(default=20, ge=6)
    """Fewest samples; fewer than 6 give no 95 % interval of a median."""
    min_seconds: Result[float] = Field(default=0.05, ge=0)
    """Least time spent sampling."""
    max_seconds: Result[float] = Field(default=2.0, gt=0)
    """Most time spent sampling (reports: 10)."""
    relative_half_width: Result[float] = Field(default=0.01, gt=0)
    """Stop once the interval of the median speed-up is this narrow on either side."""
    batch: Result[int] = Field(default=10, ge=1)
    """Samples that are queued together."""
    checked: Result[int] = Field(default=2, ge=0)
    """Timed launches whose outputs are compared, besides the last."""
    slots: Result[int | None] = Field(default=None, ge=1)
    """Slots of the ring; `None` takes as many as exceed twice the L2 cache (3 to 64)."""
    tf32: Result[bool] = False
    """Whether the baselines may use TF32 for float32 matrix products."""


REPORT = TimingSettings(baselines=(Baseline.EAGER, Baseline.COMPILE), max_seconds=10)
"""What reports and the command line use: both baselines, and time enough."""

KERNELBENCH = REPORT.model_copy(update={"baselines": (*REPORT.baselines, Baseline.EAGER_TF32)})
"""What a comparison with published figures needs."""

AT_SHIPPED = TimingSettings(baselines=(), min_samples=6, min_seconds=0.0, max_seconds=0.01)
"""Compares outputs at the shipped sizes and measures no speed-up: for rewards that leave speed out."""

REWARD = TimingSettings(min_seconds=0.0, max_seconds=0.5, relative_half_width=0.02)
"""What rewards use: many candidates, and the lower end of the interval says how unsure a speed-up is."""


class Sampled(Frozen):
    """Some times, in milliseconds."""

    samples: int
    median: float
    low: float
    """Lower end of the 95 % interval of the median."""
    high: float
    p10: float
    p90: float
    variation: float
    """Standard deviation over mean."""


class SpeedUp(Frozen):
    """Baseline over candidate: median of the pairs with its 95 % interval; rewards use `low`."""

    median: float
    low: float
    high: float


class Timing(Frozen):
    """Everything measured about one candidate at the shipped sizes."""

    candidate: Sampled
    baselines: dict[Baseline, Sampled]
    speedups: dict[Baseline, SpeedUp]
    max_error: float
    """Largest error in the outputs of timed launches, as a fraction of what is allowed."""
    roofline_fraction: float | None
    """Share of the speed that the roofline allows."""
    event_overhead_us: float
    slots: int
    flushes: int
    tf32: bool
    clocks: tuple[ClockSample, ...]
    """At the start and at the end; empty where NVML is missing."""

    @property
    def speedup(self) -> SpeedUp | None:
        """Over the fastest baseline at the same precision, if there is one."""
        equal = [found for name, found in self.speedups.items() if name is not Baseline.EAGER_TF32]
        return min(equal, key=lambda found: found.median, default=None)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median by order statistics; the extremes where there are few values."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = ordered.size
    reach = _NORMAL_95 * sqrt(count) / 2
    low = max(floor(count / 2 - reach), 0)
    high = min(ceil(count / 2 + reach), count - 1)
    return float(ordered[low]), float(ordered[high])


def sampled(values: Sequence[float]) -> Sampled:
    """Summarise some times."""
    array = np.asarray(values, dtype=np.float64)
    low, high = median_interval(values)
    p10, middle, p90 = (float(value) for value in np.percentile(array, [10, 50, 90]))
    return Sampled(
        samples=array.size,
        median=middle,
        low=low,
        high=high,
        p10=p10,
        p90=p90,
        variation=float(array.std() / array.mean()),
    )


def speed_up(candidate: Sequence[float], baseline: Sequence[float]) -> SpeedUp:
    """Summarise the pairs."""
    ratios = np.asarray(baseline, dtype=np.float64) / np.asarray(candidate, dtype=np.float64)
    low, high = median_interval(ratios.tolist())
    return SpeedUp(median=float(np.median(ratios)), low=low, high=high)


def finished(times: Mapping[str, Sequence[float]], elapsed_s: float, settings: TimingSettings) -> bool:
    """Whether enough is known: never before the minimum, always at the cap, else by the intervals' width."""
    if elapsed_s >= settings.max_seconds:
        return True
    if len(times["candidate"]) < settings.min_samples or elapsed_s < settings.min_seconds:
        return False
    found = [speed_up(times["candidate"], times[name]) for name in times if name != "candidate"]
    spans = [(up.low, up.median, up.high) for up in found]
    if not spans:
        own = sampled(times["candidate"])
        spans = [(own.low, own.median, own.high)]
    limit = settings.relative_half_width
    return all(max(high - middle, middle - low) <= limit * middle for low, middle, high in spans)


def largest(errors: Sequence[float]) -> float | Refusal:
    """The largest error of the samples that were compared, or what it means that one is too large."""
    wrong = [error for error in errors if not error <= 1]
    if not wrong:
        return max(errors, default=0.0)
    off = f"off by {max(wrong):.3g} times what is allowed"
    if len(wrong) == len(errors):
        return Refusal(status=Status.WRONG, reason=f"the outputs are {off}")
    reason = f"{len(wrong)} of {len(errors)} timed launches that were compared are {off}"
    return Refusal(status=Status.CHEATED, reason=reason)
