"""Which answers without work a problem's comparison lets pass: closed-form cases, no program is run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.problem import Tensor
from evaluation.programs.mutations import Mutation, narrow, survivors
from evaluation.reference.draw import Trial
from evaluation.tolerance import widen

N = 64


def found(function, draw, *, dtype="float32", ignored=None, tolerance=1e-4, scale=0.0):
    """Mutations that survive on `out = function(x, y)` with inputs from `draw(rng)`."""
    trials = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        inputs = {name: draw(rng).astype(np.float32) for name in ("x", "y")}
        out = function(*(value.astype(np.float64) for value in inputs.values()))
        trials.append(Trial(inputs, {"out": np.asarray(out)}, {"out": scale * np.abs(out).mean()}, {}))
    first, second = trials
    outputs = [Tensor(name="out", shape=first.expected["out"].shape, dtype=dtype)]
    inputs = [Tensor(name=name, shape=first.inputs[name].shape, dtype="float32") for name in ("x", "y")]
    without = {}
    for name in ignored or ():
        values = {**second.inputs, name: first.inputs[name]}
        without[name] = {"out": function(*(value.astype(np.float64) for value in values.values()))}
    return {
        (survivor.mutation, survivor.input)
        for survivor in survivors(inputs, outputs, first, second, tolerance, without)
    }


def normal(rng):
    return rng.standard_normal((8, N))


def positive(rng):
    return rng.random((8, N)) + 0.1


def test_a_sound_problem_lets_nothing_pass():
    assert found(lambda x, y: np.maximum(x + y, 0).sum(1), normal, ignored=("x", "y")) == set()


@pytest.mark.parametrize(
    ("function", "draw", "expected"),
    [
        (lambda x, y: 0 * x * y, normal, (Mutation.ZEROS, None)),
        (lambda x, y: np.ones(8) + 1e-9 * y.sum(1), normal, (Mutation.CONSTANT, None)),
        (lambda x, y: np.full(8, 3.0), normal, (Mutation.REPLAY, None)),
        (lambda x, y: np.maximum(x, 0), positive, (Mutation.COPY, "x")),
        (lambda x, y: y.reshape(N, 8), normal, (Mutation.COPY, "y")),
    ],
)
def test_a_weak_problem_is_named(function, draw, expected):
    assert expected in found(function, draw)


def test_relu_of_signed_inputs_is_no_copy():
    assert found(lambda x, y: np.maximum(x, 0), normal) == set()


def test_an_ignored_input_is_named():
    assert found(lambda x, y: x + 1e-9 * y, normal, ignored=("x", "y")) == {
        (Mutation.COPY, "x"),
        (Mutation.IGNORED, "y"),
    }
    assert found(lambda x, y: x * 2 + y, normal, ignored=("x", "y")) == set()


def test_a_mean_of_many_normals_is_nearly_zero_and_still_told_from_it():
    assert found(lambda x, y: x.mean(1), normal) == set()


def test_a_loose_tolerance_lets_zeros_pass():
    assert (Mutation.ZEROS, None) in found(lambda x, y: x, normal, tolerance=10.0)


def test_integer_outputs_are_compared_exactly():
    assert found(lambda x, y: x.argmax(1), normal, dtype="int64") == set()
    assert (Mutation.ZEROS, None) in found(lambda x, y: (x > 100).any(1), normal, dtype="bool")


def test_a_reason_is_one_sentence():
    trial = Trial({"x": np.zeros(4, np.float32)}, {"out": np.zeros(4)}, {}, {})
    tensor = Tensor(name="x", shape=(4,), dtype="float32")
    out = Tensor(name="out", shape=(4,), dtype="float32")
    reasons = [one.reason for one in survivors([tensor], [out], trial, trial, 1e-4)]
    assert "the check accepts zeros as out" in reasons
    assert "the check accepts a copy of the input x as out" in reasons


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_narrowing_to_bfloat16_rounds_to_nearest(values):
    array = np.asarray(values, dtype=np.float64)
    back = widen(narrow(array, "bfloat16"), "bfloat16")
    finite = np.isfinite(back) & (np.abs(array) > 1e-37)
    assert (np.abs(back[finite] - array[finite]) <= np.abs(array[finite]) * 2.0**-8).all()
    again = widen(narrow(back, "bfloat16"), "bfloat16")
    np.testing.assert_array_equal(again, back)
