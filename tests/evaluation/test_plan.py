"""Planning: expressions worked out per instance, and every limit refused with its reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.candidate import Candidate, parse_source
from evaluation.plan import BufferArgument, Plan, Role, plan
from evaluation.problem import Instance, Tensor
from evaluation.verdict import Refusal, Status
from tests.benchmarks.simt_mix import make_run
from tests.evaluation.simt_runs import refusal_of

INSTANCE = Instance(
    program="",
    sizes={"rows": 37, "cols": 45, "zero": 0},
    inputs=(Tensor(name="x", shape=(37, 45), dtype="float32"),),
    parameters=(Tensor(name="weight", shape=(45,), dtype="float32"),),
    outputs=(Tensor(name="out", shape=(37,), dtype="float32"),),
)


def planned(launch, *scratch):
    lines = [f"// launch k<<<{launch}", *(f"// scratch {line}" for line in scratch)]
    candidate = parse_source("\n".join([*lines, 'extern "C" __global__ void k() {}']))
    assert isinstance(candidate, Candidate), candidate
    return plan(candidate, INSTANCE)


def test_a_plan_has_every_buffer_and_number():
    result = planned(
        "dim3(cols, rows), min(rows, 32), cols * 4>>>(x, part, out, rows, 7, 0.5)", "part float16[rows, 2]"
    )
    assert isinstance(result, Plan)
    assert [(b.tensor.name, b.role) for b in result.buffers] == [
        ("x", Role.INPUT), ("weight", Role.INPUT), ("out", Role.OUTPUT), ("part", Role.SCRATCH),
    ]  # fmt: skip
    assert result.buffers[-1].tensor.shape == (37, 2)
    launch = result.launches[0]
    assert (launch.grid, launch.block, launch.shared_bytes) == ((45, 37, 1), (32, 1, 1), 180)
    assert launch.arguments[:3] == tuple(BufferArgument(buffer=name) for name in ("x", "part", "out"))
    assert launch.arguments[3:] == (37, 7, 0.5)
    assert [type(argument) for argument in launch.arguments[3:]] == [int, int, float]


def test_scratch_has_a_size_in_expressions():
    result = planned("1, 1>>>(numel(part))", "part float32[rows * 2]")
    assert isinstance(result, Plan)
    assert result.launches[0].arguments == (74,)


@pytest.mark.parametrize(
    ("launch", "words"),
    [
        ("rows / 64, 64>>>(x)", "grid x is 0"),
        ("-1, 64>>>(x)", "grid x is -1"),
        ("2147483648, 64>>>(x)", "grid x is 2147483648"),
        ("dim3(1, 65536), 64>>>(x)", "grid y is 65536"),
        ("dim3(1, 1, 65536), 64>>>(x)", "grid z"),
        ("dim3(2147483647, 2), 64>>>(x)", "blocks; at most"),
        ("1, 0>>>(x)", "block x is 0"),
        ("1, 1025>>>(x)", "block x is 1025"),
        ("1, dim3(32, 33)>>>(x)", "1056 threads"),
        ("1, dim3(1, 1, 65)>>>(x)", "block z is 65"),
        ("1, 1, 232449>>>(x)", "shared memory is 232449 bytes"),
        ("1, 1, -4>>>(x)", "shared memory is -4 bytes"),
        ("rows / zero, 1>>>(x)", "division by zero"),
        ("1, 1>>>(rows % zero)", "division by zero"),
        ("1, 1>>>(size(x, 2))", "2 dimensions"),
    ],
)
def test_numbers_out_of_range(launch, words):
    result = planned(launch)
    assert isinstance(result, Refusal)
    assert result.status is Status.LAUNCH_ERROR
    assert words in result.reason
    assert result.reason.startswith("launch k: ")


@pytest.mark.parametrize(
    ("launch", "words"),
    [
        ("n, 64>>>(x)", "unknown name 'n'; the named sizes are: rows, cols, zero"),
        ("1, 64>>>(y)", "unknown argument 'y'; the names are: x, weight, out, rows, cols, zero"),
        ("x, 64>>>(x)", "x is a tensor"),
        ("1, 64>>>(x + 1)", "x is a tensor"),
        ("1, 64>>>(numel(rows))", "unknown tensor 'rows'"),
    ],
)
def test_wrong_names_and_kinds_break_the_contract(launch, words):
    result = planned(launch)
    assert isinstance(result, Refusal)
    assert result.status is Status.REJECTED
    assert words in result.reason


@pytest.mark.parametrize(
    ("scratch", "status", "words"),
    [
        (["s float32[rows / 64]"], Status.LAUNCH_ERROR, "must be at least 1"),
        (["s float32[rows * 1000000]"], Status.LAUNCH_ERROR, "scratch buffers take 148000000 bytes"),
        (["s float32[10000000]", "t float32[10000000]"], Status.LAUNCH_ERROR, "80000000"),
        (["x float32[rows]"], Status.REJECTED, "already taken"),
        (["rows float32[1]"], Status.REJECTED, "already taken"),
        (["s float32[1]", "s float32[1]"], Status.REJECTED, "already taken"),
        (["s float32[n]"], Status.REJECTED, "unknown name 'n'"),
    ],
)
def test_scratch_limits(scratch, status, words):
    result = planned("1, 1>>>(x)", *scratch)
    assert isinstance(result, Refusal)
    assert result.status is status
    assert words in result.reason


NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str), st.sampled_from(["rows", "x", "numel(x)", "zero", "y"])
)


@given(st.lists(NUMBERS, min_size=5, max_size=5), st.sampled_from("+-*/%"))
def test_any_line_is_planned_or_refused(numbers, operator):
    grid, block, shared, argument, extent = numbers
    launch = f"k<<<dim3({grid}, {block} {operator} 2), {block}, {shared}>>>({argument})"
    lines = [f"// scratch s float32[{extent}]", f"// launch {launch}", 'extern "C" __global__ void k() {}']
    candidate = parse_source("\n".join(lines))
    if isinstance(candidate, Candidate):
        assert isinstance(plan(candidate, INSTANCE), Plan | Refusal)


@pytest.mark.parametrize(
    ("launch", "grid", "block", "shared"),
    [
        ("dim3(1, 65536), 64>>>(x)", (1, 65536, 1), (64, 1, 1), 0),
        ("1, dim3(1, 1, 65)>>>(x)", (1, 1, 1), (1, 1, 65), 0),
        ("1, dim3(32, 33)>>>(x)", (1, 1, 1), (32, 33, 1), 0),
    ],
)
def test_the_runner_repeats_the_limits_in_the_same_words(simt, launch, grid, block, shared):
    run = make_run([("k", grid, block, shared, ["o"])], {}, {"o": ((4,), "float32")})
    refusal = refusal_of(simt, 'extern "C" __global__ void k(float* o) { o[threadIdx.x % 4] = 1.f; }', run)
    assert (refusal.status, refusal.reason) == (Status.LAUNCH_ERROR, planned(launch).reason)


def test_static_shared_memory_counts_at_the_launch(simt):
    run = make_run([("k", (1, 1, 1), (1, 1, 1), 232448, ["o"])], {}, {"o": ((4,), "float32")})
    source = 'extern "C" __global__ void k(float* o) { __shared__ float s[8]; s[0] = 1.f; o[0] = s[0]; }'
    refusal = refusal_of(simt, source, run)
    assert refusal.status is Status.LAUNCH_ERROR
    assert re.fullmatch(
        r"launch k: shared memory is \d+ bytes \(\d+ of them static\); it must be from 0 to 232448",
        refusal.reason,
    )
