"""Closeness: honest float32 passes, shortcuts and cheats do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaluation.tolerance import compare, widen

RNG = np.random.default_rng(0)
WANT = RNG.standard_normal((37, 45))


def judged(got, want=WANT, dtype="float32", **options):
    return compare("out", dtype, np.asarray(got), np.asarray(want), **{"tolerance": 1e-4, **options})


def test_rounding_passes():
    result = judged(WANT.astype(np.float32))
    assert result.reason is None
    assert 0 < result.error < 0.01


@pytest.mark.parametrize("factor", [0.0, 1.001, -1.0])
def test_zeros_scaled_and_negated_fail(factor):
    assert judged((factor * WANT).astype(np.float32)).reason is not None


def test_the_reason_names_the_worst_element():
    got = WANT.astype(np.float32)
    got[3, 4] = 100
    assert judged(got).reason == f"out[3, 4] is 100, expected {WANT[3, 4]:.6g}; 1 of 1665 elements differ"


def test_a_scalar_output_has_a_reason_too():
    assert judged(np.float32(2), np.float64(1)).reason == "out is 2, expected 1; 1 of 1 elements differ"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_must_match_exactly(value):
    spoiled = WANT.copy()
    spoiled[0, 0] = value
    assert judged(spoiled.astype(np.float32)).error == np.inf
    assert judged(WANT.astype(np.float32), spoiled).error == np.inf
    assert judged(spoiled.astype(np.float32), spoiled).reason is None
    assert judged((-spoiled).astype(np.float32), spoiled).reason is not None


def test_nan_is_no_wildcard_when_everything_expected_is_nan():
    assert judged(np.zeros(3, np.float32), np.full(3, np.nan)).reason is not None


def test_near_cancellation_is_judged_by_the_scale_of_its_neighbours():
    want = WANT.copy()
    want[0, 0] = 0.0
    got = want.astype(np.float32)
    got[0, 0] = 5e-5
    assert judged(got, want).reason is None
    got[0, 0] = 5e-4
    assert judged(got, want).reason is not None


def test_a_few_large_values_do_not_hide_the_others():
    want = np.exp(8 * WANT)
    assert judged(want.astype(np.float32), want).reason is None
    got = np.where(WANT > 0, want, 7.0).astype(np.float32)
    assert judged(got, want, baseline_error=1e-7 * want.max()).reason is not None


def test_zeros_among_the_values_do_not_lower_the_scale():
    want = np.where(WANT > 1, WANT, 0.0)
    got = want.astype(np.float32)
    got[want == 0] = 5e-5
    assert judged(got, want).reason is None


def test_integers_are_shown_in_full():
    result = judged(np.array([12345678]), np.array([12345679]), "int32")
    assert result.reason == "out[0] is 12345678, expected 12345679; 1 of 1 elements differ"


def test_the_references_own_error_is_allowed_within_bounds():
    got = (WANT + 1e-3).astype(np.float32)
    assert judged(got).reason is not None
    assert judged(got, baseline_error=2e-3).reason is None
    assert judged(np.zeros_like(got), baseline_error=1e6).reason is not None
    assert judged(np.zeros_like(got), baseline_error=np.inf).reason is not None
    assert judged(np.zeros_like(got), baseline_error=np.nan).reason is not None


def test_integers_and_booleans_are_exact():
    want = np.arange(5)
    assert judged(want.astype(np.int32), want, "int32").reason is None
    off = want.astype(np.int32)
    off[2] = 3
    assert judged(off, want, "int32").error == np.inf
    assert judged(np.array([True, False]), np.array([True, False]), "bool").reason is None
    assert judged(np.array([1, 2], np.uint8), np.array([True, True]), "bool").reason is not None


def test_all_zeros_expected():
    zeros = np.zeros(4)
    assert judged(zeros.astype(np.float32), zeros) == judged(zeros.astype(np.float32), zeros)
    assert judged(zeros.astype(np.float32), zeros).reason is None
    assert judged(np.full(4, 1e-9, np.float32), zeros).reason is not None


def test_shape_and_empty():
    assert "shape" in str(judged(np.zeros(3, np.float32), np.zeros(4)).reason)
    assert judged(np.zeros(0, np.float32), np.zeros(0)).reason is None


def test_bfloat16_comes_as_bit_patterns():
    bits = (WANT.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    assert np.abs(widen(bits, "bfloat16") - WANT).max() < 2.0**-7 * np.abs(WANT).max()
    assert judged(bits, dtype="bfloat16").reason is None
    assert judged(bits ^ 0x8000, dtype="bfloat16").reason is not None


FLOATS = arrays.arrays(np.float64, st.integers(1, 8), elements=st.floats(allow_nan=True, allow_infinity=True))


@given(FLOATS, st.floats(0, 1e-2))
def test_anything_equals_itself_in_float64(want, tolerance):
    assert judged(want, want, "float64", tolerance=tolerance).reason is None
