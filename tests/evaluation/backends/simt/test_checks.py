"""What the `simt` backend refuses, faults, races and launches among it, and what it takes for sound."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evaluation.backends.base import RunOutcome
from evaluation.backends.simt.backend import SimtBackend
from evaluation.verdict import Refusal, Status
from tests.benchmarks.simt_mix import make_run
from tests.evaluation.simt_runs import HEAD, SETTINGS, elementwise, outputs_of, plain_run, refusal_of


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


@pytest.mark.parametrize(
    ("grid", "block", "shared", "arguments", "words"),
    [
        ((0, 1, 1), (32, 1, 1), 0, ["o", "a", 8], "must be from 1"),
        ((1, 1, 1), (0, 1, 1), 0, ["o", "a", 8], "must be from 1"),
        ((1, 1, 1), (1025, 1, 1), 0, ["o", "a", 8], "block"),
        ((1, 1, 1), (64, 32, 1), 0, ["o", "a", 8], "block"),
        ((1, 1, 1), (1, 1, 65), 0, ["o", "a", 8], "block"),
        ((1, 65536, 1), (1, 1, 1), 0, ["o", "a", 8], "grid"),
        ((1, 1, 1), (32, 1, 1), 227 * 1024 + 1, ["o", "a", 8], "shared memory"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", "a"], "takes 3 arguments"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", "a", 8, 8], "takes 3 arguments"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", 8, "a"], "takes a pointer"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", "a", "a"], "takes a number"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", "a", 2**31], "does not fit"),
        ((1, 1, 1), (32, 1, 1), 0, ["o", "a", 1.5], "fraction"),
    ],
)
def test_launch_errors(backend, grid, block, shared, arguments, words):
    run = make_run(
        [("k", grid, block, shared, arguments)], {"a": np.ones(8, np.float32)}, {"o": ((8,), "float32")}
    )
    refusal = refusal_of(backend, HEAD + "if (i < n) o[i] = a[i]; }", run)
    assert refusal.status is Status.LAUNCH_ERROR
    assert words in refusal.reason


def test_an_enormous_grid_ends_in_the_budget(backend):
    run = plain_run(8, grid=2**31 - 1, block=1024)
    with SimtBackend(SETTINGS.model_copy(update={"access_budget": 100_000})) as small:
        refusal = refusal_of(small, HEAD + "if (i < n) o[i] = a[i]; }", run)
    assert refusal.status is Status.TIMEOUT


def test_faults_name_kernel_block_and_thread(backend):
    run = plain_run(100, grid=4, block=32)
    refusal = refusal_of(backend, HEAD + "o[i] = a[i]; }", run)
    assert refusal.status is Status.FAULT
    assert refusal.reason == (
        "kernel k, block (3, 0, 0), thread (4, 0, 0): "
        "out-of-bounds read of 4 bytes at byte 400 of a, which has 400 bytes"
    )


@pytest.mark.parametrize(
    ("declaration", "use"),
    [
        ("__device__ int runs = 0;", "++runs"),
        ("static __device__ int runs;", "++runs"),
        ("inline __device__ int runs;", "++runs"),
        ("namespace { __device__ int runs[4]; }", "runs[i] = 1"),
        ("__device__ __managed__ int runs;", "++runs"),
        ("__device__ int next() { static int runs; return ++runs; }", "next()"),
    ],
)
def test_a_variable_that_outlives_a_launch_is_refused_as_on_a_gpu(backend, declaration, use):
    refusal = refusal_of(backend, f"{declaration}\n{HEAD}if (i == 0) o[0] = {use}; }}", plain_run(1))
    assert refusal.status is Status.REJECTED
    assert re.search(r"the global variable \w*runs\w* outlives a launch", refusal.reason)


@pytest.mark.parametrize(
    "declaration",
    [
        "__device__ int never_used;",
        "__constant__ float t[2] = {2, 2};",
        "__constant__ const float t[2] = {2, 2};",
        "static __constant__ float t[2] = {2, 2}, other;",
        "constexpr float t[2] = {2, 2};",
    ],
)
def test_constants_may_be_global(backend, declaration):
    factor = "2" if "never" in declaration else "t[i & 1]"
    run = plain_run(32, block=32)
    outcome = outputs_of(backend, f"{declaration}\n{HEAD}o[i] = {factor} * a[i]; }}", run)
    np.testing.assert_array_equal(outcome["o"], 2 * run.inputs["a"])


def test_inputs_stay_as_they_were(backend):
    a = np.ones(8, np.float32)
    run = make_run([("k", (1, 1, 1), (8, 1, 1), 0, ["o", "a", 8])], {"a": a}, {"o": ((8,), "float32")})
    outputs_of(backend, HEAD + "o[i] = a[i]; }", run)
    assert (a == 1).all()


def test_neighbouring_bytes_in_shared_memory_are_no_race(backend):
    body = "__shared__ unsigned char s[128]; s[threadIdx.x] = 3; if (i < n) o[i] = s[threadIdx.x];"
    _, o = elementwise(backend, body)
    assert (o == 3).all()


def test_warp_synchronous_code_with_syncwarp_is_no_race(backend):
    body = """
        __shared__ float s[128];
        s[threadIdx.x] = i;
        __syncwarp();
        float v = s[threadIdx.x ^ 1];
        __syncwarp();
        s[threadIdx.x] = v;
        if (i < n) o[i] = s[threadIdx.x];
    """
    _, o = elementwise(backend, body, n=256)
    assert o.tolist() == [float(i ^ 1) for i in range(256)]


def test_a_spinning_flag_between_warps_ends(backend):
    body = """
        __shared__ int flag;
        if (threadIdx.x == 0) flag = 0;
        __syncthreads();
        if (threadIdx.x < 32) {
            while (atomicAdd(&flag, 0) == 0) {}
        } else if (threadIdx.x == 64) {
            atomicExch(&flag, 1);
        }
        if (i < n) o[i] = 1;
    """
    _, o = elementwise(backend, body)
    assert (o == 1).all()


def test_waiting_for_a_volatile_flag_of_an_earlier_block_is_no_race(backend):
    source = """
        extern "C" __global__ void k(float* o, const float* a, int n) {
            volatile float* flag = o + 1;
            if (n == 1) {
                *flag = 0.0f;
            } else if (blockIdx.x == 0) {
                o[0] = 5.0f;
                __threadfence();
                *flag = 1.0f;
            } else {
                while (*flag != 1.0f) {}
                __threadfence();
                o[2] = o[0];
            }
        }
    """
    launches = [("k", (blocks, 1, 1), (1, 1, 1), 0, ["o", "a", blocks]) for blocks in (1, 2)]
    run = make_run(launches, {"a": np.ones(3, np.float32)}, {"o": ((3,), "float32")})
    assert outputs_of(backend, source, run)["o"].tolist() == [5, 1, 5]


def outcome_of_two(backend, source, run, runs=2):
    """What becomes of the same run in the first variants."""
    built = backend.build(source, [launch.kernel for launch in run.plan.launches])
    assert not isinstance(built, Refusal), built.reason
    return backend.run(built, [run] * runs)


def outputs_of_two(backend, source, run, runs=2):
    outcome = outcome_of_two(backend, source, run, runs)
    assert isinstance(outcome, RunOutcome), outcome.reason
    return [outputs["o"] for outputs in outcome.outputs]


def test_a_hole_in_an_output_is_wrong_whatever_the_reference_holds_there(backend):
    refusal = refusal_of(backend, HEAD + "if (i != 5) o[i] = a[i]; }", plain_run(64, block=64))
    assert refusal.status is Status.WRONG
    assert "nobody has written byte 20 of o, which has 256 bytes" in refusal.reason


PARTS = """
    struct __align__(16) Quarter { float part, others[3]; };
    extern "C" __global__ void k(float* o, Quarter* pad, int n) {
        const int t = threadIdx.x;
        PLACE
        at[t].part = 1.0f;
        const Quarter copy = at[t];
        for (int j = 0; j < 3; j++) o[3 * t + j] = copy.others[j];
    }
"""


@pytest.mark.parametrize("place", ["Quarter* at = pad;", "__shared__ Quarter at[64];"])
def test_what_nobody_wrote_differs_by_run_and_place_and_no_maximum_or_minimum_swallows_it(backend, place):
    launch = ("k", (1, 1, 1), (64, 1, 1), 0, ["o", "pad", 64])
    run = make_run([launch], {}, {"o": ((192,), "float32")}, {"pad": ((256,), "float32")})
    source = PARTS.replace("PLACE", place)
    runs = outputs_of_two(backend, source, run)
    for o in runs:
        assert np.isnan(o).any()
        assert (o > 1e35).any()
        assert (o < -1e35).any()
        assert (np.isnan(o) | (np.abs(o) > 1e35)).all()
    assert (runs[0] != runs[1]).mean() > 0.5
    for before, after in zip(runs, outputs_of_two(backend, source, run), strict=True):
        assert before.tobytes() == after.tobytes()


def test_blocks_and_threads_come_in_three_orders(backend):
    source = """
        extern "C" __global__ void zero(int* c) { *c = 0; }
        extern "C" __global__ void k(float* o, int* c) {
            o[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(c, 1);
        }
    """
    launches = [
        ("zero", (1, 1, 1), (1, 1, 1), 0, ["c"]),
        ("k", (3, 1, 1), (40, 1, 1), 0, ["o", "c"]),
    ]
    run = make_run(launches, {}, {"o": ((120,), "float32")}, {"c": ((1,), "int32")})
    first, second, third = outputs_of_two(backend, source, run, runs=3)
    np.testing.assert_array_equal(first, np.arange(120))
    np.testing.assert_array_equal(third, np.arange(120)[::-1])
    np.testing.assert_array_equal(np.sort(second), np.arange(120))
    assert np.sign(np.diff(second)).tolist().count(1.0) in range(10, 110)


def test_waiting_for_an_earlier_block_is_right_in_every_order(backend):
    """A block that waits lets others begin, and from then on the lowest first, as on a GPU."""
    source = """
        extern "C" __global__ void clear(float* o) { o[threadIdx.x] = 0.0f; }
        extern "C" __global__ void k(float* o, const float* a, int n) {
            volatile float* sums = o;
            float before = 0.0f;
            if (blockIdx.x > 0) {
                do before = sums[blockIdx.x - 1];
                while (!(before > 0.0f && before < 100.0f));
            }
            sums[blockIdx.x] = before + a[blockIdx.x];
        }
    """
    with SimtBackend(SETTINGS.model_copy(update={"access_budget": 100_000})) as small:
        launches = [("clear", (1, 1, 1), (4, 1, 1), 0, ["o"]), ("k", (4, 1, 1), (1, 1, 1), 0, ["o", "a", 4])]
        run = make_run(launches, {"a": np.ones(4, np.float32)}, {"o": ((4,), "float32")})
        for o in outputs_of_two(small, source, run, runs=3):
            assert o.tolist() == [1, 2, 3, 4]


def test_a_large_scratch_does_not_switch_the_race_check_off(backend):
    source = """
        extern "C" __global__ void k(float* o, float* pad, int n) {
            pad[threadIdx.x] = pad[n - 1 - threadIdx.x] = 0.0f;
            __syncthreads();
            pad[threadIdx.x] = threadIdx.x;
            o[threadIdx.x] = pad[(threadIdx.x + 1) % blockDim.x] + pad[n - 1 - threadIdx.x];
        }
    """
    for n in (16384, 2**24):
        launch = ("k", (1, 1, 1), (64, 1, 1), 0, ["o", "pad", n])
        run = make_run([launch], {}, {"o": ((64,), "float32")}, {"pad": ((n,), "float32")})
        refusal = refusal_of(backend, source, run)
        assert refusal.status is Status.FAULT
        assert "race at byte" in refusal.reason


def test_shared_memory_costs_steps(backend):
    """Or else an empty kernel with an endless grid would spend minutes on filling it with poison."""
    run = make_run([("k", (100_000, 1, 1), (1, 1, 1), 200_000, ["o"])], {}, {"o": ((1,), "float32")})
    source = 'extern "C" __global__ void k(float* o) {}'
    with SimtBackend(SETTINGS.model_copy(update={"access_budget": 100_000})) as small:
        refusal = refusal_of(small, source, run)
    assert refusal.status is Status.TIMEOUT


TILES = """
    __shared__ float s[256];
    for (int j = 0; j < ROUNDS; j++) {
        s[threadIdx.x] = a[0];
        __syncthreads();
        for (int l = 0; l < 256; l++) sum += s[l];
        __syncthreads();
    }
    if (i == 0) o[0] = sum;
"""


@pytest.mark.parametrize(
    ("body", "grid", "block", "ends"),
    [
        ("for (int j = 0; j < 3000; j++) sum += a[0]; if (i == 0) o[0] = sum;", 32, 32, True),
        (TILES.replace("ROUNDS", "60"), 1, 256, True),
        (TILES.replace("ROUNDS", "j + 1"), 1, 256, False),
        ("while (i < n) sum += a[i]; o[0] = sum;", 1, 1, False),
        ("while (threadIdx.x == 5) sum += a[0]; o[0] = sum;", 64, 32, False),
    ],
)
def test_work_that_goes_on_is_no_hang(backend, body, grid, block, ends):
    """Ten million steps where threads end or barriers open on the way; without end none has so many."""
    with SimtBackend(SETTINGS.model_copy(update={"access_budget": 4_000_000})) as small:
        built = small.build(f"{HEAD} float sum = 0.0f; {body} }}", ["k"])
        assert not isinstance(built, Refusal), built.reason
        outcome = small.run(built, [plain_run(1, grid=grid, block=block)])
    assert isinstance(outcome, RunOutcome) if ends else outcome.status is Status.TIMEOUT


SUM_FOR_EACH = "float sum = 0.0f; for (int j = 0; j < n; j++) sum += a[j]; o[i] = sum;"


@pytest.mark.parametrize(
    ("body", "finished"),
    [
        (SUM_FOR_EACH, [True, True, False]),
        (f"for (int j = 0; j < n; j++) {{ {SUM_FOR_EACH} }}", [True, True, False]),
        ("for (int j = 0; n > 5000 && j < 100000; j++) o[i] = a[i]; o[i] = n;", None),
        (f"{SUM_FOR_EACH} while (n > 5000);", None),
    ],
    ids=["square", "cube", "slow-where-large", "hangs-where-large"],
)
def test_a_large_size_that_takes_too_long_is_left_out(body, finished):
    """But only for a kernel whose work grew like that at the smaller sizes, and whose threads end."""
    runs = [plain_run(n, grid=n // 32, block=32) for n in (64, 128, 9600)]
    with SimtBackend(SETTINGS.model_copy(update={"access_budget": 4_000_000})) as small:
        built = small.build(f"{HEAD} {body} }}", ["k"])
        assert not isinstance(built, Refusal), built.reason
        outcome = small.run(built, runs)
    if finished is None:
        assert outcome.status is Status.TIMEOUT
    else:
        assert [outputs is not None for outputs in outcome.outputs] == finished


def test_an_object_with_too_many_sections_is_called_that(backend):
    constants = "".join(f"C value{number};" for number in range(4096))
    source = f"#define C __constant__ int\n{constants}\n{HEAD} o[i] = value0; }}"
    refusal = refusal_of(backend, source, plain_run(1))
    assert "sections" in refusal.reason


def test_virtual_functions_work(backend):
    head = """
        struct Shape {
            __device__ virtual float area() const = 0;
        };
        struct Square : Shape {
            float side;
            __device__ Square(float s) : side(s) {}
            __device__ float area() const override { return side * side; }
        };
        struct Tent : Square {
            __device__ Tent(float s) : Square(s) {}
            __device__ float area() const override { return 0.5f * Square::area(); }
        };
    """
    body = """
        Square square(2.0f);
        Tent tent(2.0f);
        const Shape& shape = i % 2 ? (const Shape&)tent : square;
        if (i < n) o[i] = shape.area();
    """
    _, o = elementwise(backend, body, head=head)
    assert o.tolist() == [2.0 if i % 2 else 4.0 for i in range(300)]
