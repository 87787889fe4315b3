"""The arithmetic of timing: intervals, the stopping rule, the roofline. No GPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.timing.roofline import MARGIN, Peaks, floor_s, fraction
from evaluation.timing.samples import TimingSettings, finished, largest, median_interval, sampled, speed_up
from evaluation.verdict import Status

PEAKS = Peaks(bytes_per_s=4e12, flops_per_s={"float32": 4e14, "bfloat16": 8e14}, l2_bytes=60_000_000)


def problem(elements=10**8, flops=0, dtype="float32"):
    x, out = (Tensor(name=name, shape=(elements,), dtype=dtype) for name in ("x", "out"))
    at = Instance(program="p", sizes={}, inputs=(x,), outputs=(out,))
    return Problem(
        id="p", source="test", level=1, split=Split.TRAIN, dialect=Dialect.FUNCTION, operators=("relu",),
        shipped=at, checks=(at,), tolerance=1e-4, flops=flops, bytes=x.nbytes + out.nbytes,
    )  # fmt: skip


@given(st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=200))
def test_the_interval_holds_the_median(values):
    low, high = median_interval(values)
    assert min(values) <= low <= np.median(values) <= high <= max(values)


def test_the_interval_covers_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [median_interval(rng.lognormal(size=30)) for _ in range(2000)]
    assert np.mean([low <= 1 <= high for low, high in found]) > 0.93


def test_one_slow_sample_moves_the_median_little():
    values = [1.0] * 30 + [100.0]
    assert sampled(values).median == 1.0
    assert sampled(values).variation > 1


def test_drift_cancels_in_pairs():
    drift = np.linspace(1, 2, 40)
    up = speed_up(drift, 1.5 * drift)
    assert up.median == pytest.approx(1.5)
    assert up.high - up.low == pytest.approx(0)


def times(count, noise, rng=None):
    rng = rng or np.random.default_rng(0)
    return {name: list(1 + noise * rng.standard_normal(count)) for name in ("candidate", "eager")}


def test_sampling_never_stops_before_the_minimum():
    settings = TimingSettings(min_samples=20, min_seconds=0.05)
    assert not finished(times(19, 0), 1, settings)
    assert not finished(times(100, 0), 0.01, settings)
    assert finished(times(20, 0), 0.05, settings)


def test_sampling_goes_on_while_the_median_is_unsure_and_ends_at_the_cap():
    settings = TimingSettings(max_seconds=2)
    assert not finished(times(40, 0.2), 1, settings)
    assert finished(times(40, 0.2), 2, settings)
    assert finished(times(4000, 0.02), 1, settings)


def test_the_floor_is_traffic_or_arithmetic():
    assert floor_s(problem(), PEAKS) == pytest.approx((4e8 + 4e8 - 6e7) / 4e12 / MARGIN)
    assert floor_s(problem(flops=10**12), PEAKS) == pytest.approx(1e12 / 4e14 / MARGIN)
    assert floor_s(problem(flops=10**12, dtype="bfloat16"), PEAKS) == pytest.approx(1e12 / 8e14 / MARGIN)


def test_outputs_that_fit_in_the_cache_cost_nothing():
    assert floor_s(problem(1000), PEAKS) == pytest.approx(4000 / 4e12 / MARGIN)


def test_the_fraction_of_the_roofline():
    assert fraction(problem(), 2e-4, PEAKS) == pytest.approx(1)
    assert fraction(problem(), 4e-4, PEAKS) == pytest.approx(0.5)


def test_outputs_of_timed_launches_that_are_all_right():
    assert largest([0.2, 0.9, 0.5]) == 0.9


def test_outputs_that_are_always_wrong_are_wrong():
    assert largest([2.0, float("inf"), float("nan")]).status is Status.WRONG


def test_outputs_that_are_wrong_now_and_then_are_cheated():
    refusal = largest([0.1, 3.0, 0.1])
    assert refusal.status is Status.CHEATED
    assert refusal.reason.startswith("1 of 3 timed launches")
