from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.report.estimators import fast_p, geometric_mean, paired_bootstrap, pass_at_k


@given(n=st.integers(1, 8), data=st.data())
def test_pass_at_k_equals_enumeration(n, data):
    correct = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    outcomes = [i < correct for i in range(n)]
    draws = list(combinations(outcomes, k))
    assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_refuses_more_draws_than_samples():
    with pytest.raises(ValueError, match="at least 5"):
        pass_at_k(4, 2, 5)


def test_fast_p_counts_failures_as_not_fast():
    speedups = [None, 0.5, 1.0, 2.0]
    assert fast_p(speedups, 0) == 0.75
    assert fast_p(speedups, 1.0) == 0.5
    assert fast_p([], 1.0) == 0.0


def test_bootstrap_interval_matches_the_normal_approximation():
    rng = np.random.default_rng(1)
    before = rng.random(400)
    after = before + rng.normal(0.1, 0.2, 400)
    gain = after - before
    half = 1.96 * gain.std(ddof=1) / np.sqrt(400)
    interval = paired_bootstrap(before, after)
    assert interval.mean == pytest.approx(gain.mean())
    assert interval.low == pytest.approx(gain.mean() - half, abs=0.004)
    assert interval.high == pytest.approx(gain.mean() + half, abs=0.004)


def test_bootstrap_of_no_change_is_exactly_zero():
    same = np.linspace(0, 1, 50)
    interval = paired_bootstrap(same, same)
    assert (interval.mean, interval.low, interval.high) == (0, 0, 0)


def test_bootstrap_refuses_unpaired_vectors():
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap(np.zeros(3), np.zeros(4))


def test_the_geometric_mean_neither_overflows_nor_takes_what_is_not_positive():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([1e300] * 1000) == pytest.approx(1e300)
    for values in ([], [1.0, 0.0], [-1.0]):
        with pytest.raises(ValueError, match="positive"):
            geometric_mean(values)
