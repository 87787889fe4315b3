"""Closeness: honest float32 passes, shortcuts and cheats do not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaluation.programs.mutations import narrow
from evaluation.tolerance import EPSILON, compare, excess, widen

RNG = np.random.default_rng(0)
WANT = RNG.standard_normal((37, 45))


def judged(got, want=WANT, dtype="float32", **options):
    return compare("out", dtype, np.asarray(got), np.asarray(want), **{"tolerance": 1e-4, **options})


def in_torch(got, want, dtype, tolerance=1e-4, scale=0.0, slack=0.0):
    """The same comparison on tensors, as a GPU makes it."""
    values = torch.from_numpy(widen(got, dtype) if dtype in EPSILON else got)
    found = excess(
        torch, dtype, values, torch.from_numpy(want), *map(torch.as_tensor, (scale, slack)), tolerance
    )
    return found.numpy()


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


def test_an_element_has_the_size_that_its_inputs_give_it():
    want = WANT.copy()
    want[0, 0] = 0.0
    got = want.astype(np.float32)
    got[0, 0] = 5e-5
    assert judged(got, want).reason is not None
    assert judged(got, want, scale=np.ones_like(want)).reason is None
    got[0, 0] = 5e-4
    assert judged(got, want, scale=np.ones_like(want)).reason is not None


@pytest.mark.parametrize("wrong", [0.0, 7.0, 1.001])
def test_large_elements_do_not_hide_small_ones(wrong):
    want = np.exp(8 * WANT)
    assert judged(want.astype(np.float32), want).reason is None
    got = np.where(WANT > -1, want, wrong * want if wrong > 1 else wrong).astype(np.float32)
    assert judged(got, want).reason is not None


def test_a_small_part_may_not_be_zero():
    want = WANT * np.where(np.arange(45) < 20, 1e-6, 1.0)
    got = np.where(np.arange(45) < 20, 0.0, want).astype(np.float32)
    assert judged(got, want).reason is not None


def test_integers_are_shown_in_full():
    result = judged(np.array([12345678]), np.array([12345679]), "int32")
    assert result.reason == "out[0] is 12345678, expected 12345679; 1 of 1 elements differ"


def test_slack_is_allowed_where_it_is_given():
    got, slack = (WANT + 1e-3).astype(np.float32), np.full_like(WANT, 2e-3)
    assert judged(got).reason is not None
    assert judged(got, slack=slack).reason is None
    slack[3, 4] = 0.0
    assert judged(got, slack=slack).reason.startswith("out[3, 4] is")


def test_what_is_not_determined_is_not_judged():
    want, slack = np.arange(5), np.array([0, 0, np.inf, 0, 0])
    off = want.astype(np.int32)
    off[2] = 3
    assert judged(off, want, "int32", slack=slack).reason is None
    off[1] = 3
    assert "out[1] is 3, expected 1; 1 of 5" in judged(off, want, "int32", slack=slack).reason


@pytest.mark.parametrize("dtype", sorted(EPSILON))
def test_what_hardware_flushes_to_zero_is_right(dtype):
    tiny = {"float64": 1e-310, "float16": 2.0**-26}.get(dtype, 1e-39)
    zeros = np.zeros(3, np.uint16 if dtype == "bfloat16" else dtype)
    assert judged(zeros, np.full(3, tiny), dtype).reason is None
    assert judged(zeros, np.full(3, 4e5 * tiny), dtype).reason is not None


def test_integers_and_booleans_are_exact():
    want = np.arange(5)
    assert judged(want.astype(np.int32), want, "int32").reason is None
    off = want.astype(np.int32)
    off[2] = 3
    assert judged(off, want, "int32").error == np.inf
    assert judged(np.array([True, False]), np.array([True, False]), "bool").reason is None


def test_a_bool_holds_zero_or_one():
    got = np.array([1, 2, 0], np.uint8).view(np.bool_)
    assert (got == np.array([True, True, False])).all()
    assert judged(got, np.array([True, True, False]), "bool").error == np.inf
    assert judged(got[:1], np.array([True]), "bool").reason is None


def test_all_zeros_expected():
    zeros = np.zeros(4)
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


DTYPES = [*sorted(EPSILON), "int64", "int32", "uint8", "bool"]
VALUES = st.floats(-1e3, 1e3) | st.sampled_from([np.inf, -np.inf, np.nan])


@given(
    st.sampled_from(DTYPES),
    arrays.arrays(
        np.float64, (2, 6), elements=st.floats(-1e3, 1e3) | st.sampled_from([np.inf, -np.inf, np.nan])
    ),
    arrays.arrays(np.float64, (2, 6), elements=st.floats(0, 2) | st.just(np.inf)),
    st.floats(1e-6, 1e-2),
)
def test_numpy_and_torch_compare_alike(dtype, values, bounds, tolerance):
    if dtype in EPSILON:
        got, want = narrow(values[0], dtype), values[1]
    else:
        kind = np.uint8 if dtype == "bool" else dtype
        got, want = (
            np.nan_to_num(value, posinf=1, neginf=0).astype(np.int64).astype(kind) for value in values
        )
        if dtype == "bool":
            got, want = got.view(np.bool_), (want % 2).view(np.bool_)
    scale, slack = np.nan_to_num(bounds[0], posinf=1.0), bounds[1]
    found = in_torch(got, want, dtype, tolerance, scale, slack)
    alone = [
        judged(
            got[i : i + 1], want[i : i + 1], dtype, tolerance=tolerance, scale=scale[i], slack=slack[i]
        ).error
        for i in range(6)
    ]
    np.testing.assert_allclose(found, alone, rtol=1e-12)
