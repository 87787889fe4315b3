"""Images of device memory, judged without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.backends.cuda.backend import _Execution, _judge
from evaluation.backends.cuda.image import ALIGNMENT, FILLS, GUARD_BYTES, lay_out
from evaluation.plan import Buffer, Plan, Role
from evaluation.problem import DTYPE_BYTES, Tensor, numpy_dtype
from evaluation.verdict import Refusal, Status


def plan(*buffers: tuple[str, Role, tuple[int, ...], str]) -> Plan:
    return Plan(
        buffers=tuple(
            Buffer(tensor=Tensor(name=name, shape=shape, dtype=dtype), role=role)
            for name, role, shape, dtype in buffers
        ),
        launches=(),
    )


SIMPLE = plan(
    ("x", Role.INPUT, (5, 3), "float32"),
    ("out", Role.OUTPUT, (7,), "float32"),
    ("s", Role.SCRATCH, (2,), "int32"),
)
X = np.arange(15, dtype=np.float32).reshape(5, 3)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(sorted(DTYPE_BYTES))), min_size=1, max_size=6))
def test_buffers_are_aligned_apart_and_guarded(shapes):
    layout = lay_out(
        plan(*((f"b{index}", Role.SCRATCH, (n,), dtype) for index, (n, dtype) in enumerate(shapes)))
    )
    end = 0
    for buffer in layout.buffers:
        start = layout.offsets[buffer.tensor.name]
        assert start % ALIGNMENT == 0
        assert start - end >= GUARD_BYTES
        end = start + buffer.tensor.nbytes
    assert layout.size - end >= GUARD_BYTES


@pytest.mark.parametrize("fill", FILLS)
def test_an_image_holds_the_inputs_and_the_fill(fill):
    layout = lay_out(SIMPLE)
    image = layout.image({"x": X}, fill)
    np.testing.assert_array_equal(layout.view(image, layout.buffers[0]), X)
    assert (image == fill).sum() >= image.size - X.nbytes
    if fill == 0xFF:
        assert np.isnan(layout.outputs(image)["out"]).all()


def damaged(position=None, buffer=None):
    layout = lay_out(SIMPLE)
    before = layout.image({"x": X}, FILLS[0])
    after = before.copy()
    if buffer is not None:
        after[layout.offsets[buffer] : layout.offsets[buffer] + 4] ^= 1
    if position is not None:
        after[position(layout)] ^= 1
    return layout.damage(before, after)


def test_outputs_and_scratch_may_change():
    assert damaged() is None
    assert damaged(buffer="out") is None
    assert damaged(buffer="s") is None


def test_a_write_to_an_input_is_a_fault():
    refusal = damaged(buffer="x")
    assert refusal.status is Status.FAULT
    assert "input x" in refusal.reason


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (lambda layout: layout.offsets["out"] + 28, "0 bytes past the end of out"),
        (lambda layout: layout.offsets["out"] - 4, "4 bytes before out"),
        (lambda layout: 0, "before x"),
        (lambda layout: layout.size - 1, "past the end of s"),
    ],
)
def test_a_write_to_a_guard_zone_is_a_fault_next_to_a_buffer(position, words):
    assert words in damaged(position).reason


def both(dtype, first, second):
    """What is made of two executions that left these outputs: of both, or the refusal."""
    tensor = Tensor(name="out", shape=np.shape(first), dtype=dtype)
    layout = lay_out(Plan(buffers=(Buffer(tensor=tensor, role=Role.OUTPUT),), launches=()))
    executions, images = [], []
    for fill, values in zip(FILLS, (first, second), strict=True):
        image = layout.image({}, fill)
        executions.append(_Execution(layout, image.copy(), []))
        layout.view(image, layout.buffers[0])[...] = values
        images.append(image)
    found = _judge(executions, images)
    return found if isinstance(found, Refusal) else found[0]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_second_execution_counts_where_it_differs(dtype, shape):
    one = np.full(shape, 1, numpy_dtype(dtype))
    other = np.full(shape, 0, numpy_dtype(dtype))
    first, second = both(dtype, one, one)
    assert second is None
    assert np.array_equal(first["out"], one)
    first, second = both(dtype, one, other)
    assert np.array_equal(first["out"], one)
    assert np.array_equal(second["out"], other)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bfloat16", "bool"])
def test_what_was_never_written_is_told_apart(dtype):
    first, second = (np.frombuffer(bytes([fill]) * 16, dtype=numpy_dtype(dtype)).copy() for fill in FILLS)
    first[0] = second[0] = 1
    refusal = both(dtype, first, second)
    assert refusal.status is Status.WRONG
    assert refusal.reason.startswith("out[1] is never written")
