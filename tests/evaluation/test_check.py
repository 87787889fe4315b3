"""Real kernels against real programs: every status that the CPU backend gives, for its own reason."""

import random

import pytest

from evaluation.backends.base import RunOutcome
from evaluation.check import SizeSet, check, draw_cases, problem_digest
from evaluation.reference.draw import Kind, spread
from evaluation.verdict import Status

TWO_LAUNCHES = """\
// scratch partial float32[rows * 2]
// launch halves<<<rows, 2>>>(x, partial, cols)
// launch finish<<<ceil_div(rows, 32), 32>>>(partial, out, rows)
extern "C" __global__ void halves(const float* x, float* partial, int cols) {
    float s = 0.f;
    for (int i = threadIdx.x; i < cols; i += 2) s += fmaxf(x[blockIdx.x * cols + i], 0.f);
    partial[blockIdx.x * 2 + threadIdx.x] = s;
}
extern "C" __global__ void finish(const float* partial, float* out, int rows) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r < rows) out[r] = partial[2 * r] + partial[2 * r + 1];
}
"""
ROW = """\
// launch k<<<{grid}, 32>>>({arguments})
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    {body}
}}
"""
SUM = "float s = 0.f; for (int i = 0; i < cols; ++i) s += fmaxf(x[r * cols + i], 0.f);"
GUARDED = "if (r >= rows) return; " + SUM + " out[r] = s;"


def row(body=GUARDED, grid="ceil_div(rows, 32)", arguments="x, out, rows, cols"):
    return ROW.format(grid=grid, arguments=arguments, body=body)


@pytest.fixture
def judged(row_sum, simt, reference):
    def run(source, problem=row_sum, sizes=SizeSet.CHECKS, seed=0):
        text = f"```cuda\n{source}\n```"
        verdict = check(problem, text, sizes=sizes, seed=seed, backend=simt, reference=reference)
        assert "\n" not in verdict.reason
        return verdict

    return run


@pytest.mark.parametrize("source", [row(), TWO_LAUNCHES], ids=["one-launch", "two-launches"])
def test_correct_kernels_carry_measurements(judged, source):
    verdict = judged(source)
    assert verdict.correct, verdict
    assert verdict.measurements.instances == len(Kind)
    assert 0 < verdict.measurements.max_error < 1
    assert verdict.measurements.speedup is None


def test_a_verdict_is_reproducible(judged):
    assert judged(row(), seed=3) == judged(row(), seed=3)
    assert judged(row(), seed=3) != judged(row(), seed=4)


def test_an_exact_grid_is_right_at_aligned_sizes_only(judged):
    unguarded = row(SUM + " out[r] = s;", grid="rows / 32")
    assert judged(unguarded, sizes=SizeSet.ALIGNED).correct
    verdict = judged(unguarded)
    assert verdict.status is Status.WRONG
    assert verdict.reason == "nobody has written byte 128 of out, which has 148 bytes"


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("int main() {}", Status.UNPARSABLE, "launch line"),
        (row(arguments="x, out, n"), Status.REJECTED, "unknown argument 'n'"),
        (row("return 1 +;"), Status.COMPILE_ERROR, "line 4: expected primary-expression"),
        (row("int 3;", grid="rows / 64"), Status.COMPILE_ERROR, "line 4: expected unqualified-id"),
        (
            row(grid="rows / 64"),
            Status.LAUNCH_ERROR,
            "grid x is 0; it must be from 1 to 2147483647 (at rows = 37",
        ),
        (row(arguments="x, out, rows"), Status.LAUNCH_ERROR, "k takes 4 arguments, and the launch"),
        (row(arguments="rows, out, x, cols"), Status.LAUNCH_ERROR, "k: argument 1 is a number"),
        (row(SUM + "out[r] = s;"), Status.FAULT, "out-of-bounds read of 4 bytes at byte"),
        (row("while (true) out[0] = 1.f;"), Status.TIMEOUT, "the budget is used up after"),
        (row("if (r >= rows) return; out[r] = 0.f;"), Status.WRONG, "expected"),
        (
            row("if (r >= rows || r == 3) return; " + SUM + "out[r] = s;"),
            Status.WRONG,
            "nobody has written byte 12 of out",
        ),
        (row("((float*)x)[r] = 0.f;"), Status.FAULT, "write of input x at byte 0"),
    ],
)
def test_every_failure_has_its_status_and_reason(judged, source, status, words):
    verdict = judged(source)
    assert verdict.status is status, verdict
    assert words in verdict.reason
    assert verdict.measurements is None


def test_a_single_instance_is_run_on_every_kind_of_input(judged, double, reference):
    cases = draw_cases(double, SizeSet.CHECKS, 0, reference)
    assert {case.kind for case in cases} == set(Kind)
    first, second, *_ = cases
    assert (first.trial.inputs["x"] != second.trial.inputs["x"]).any()
    source = """\
// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + x[i];
}
"""
    assert judged(source, double).correct


def test_without_sizes_nothing_is_correct(judged, row_sum):
    assert judged(row(), row_sum.model_copy(update={"checks": ()})).status is Status.UNSUPPORTED


def test_draws_differ_by_seed_and_by_instance(row_sum, reference):
    cases = [
        *draw_cases(row_sum, SizeSet.CHECKS, 0, reference),
        *draw_cases(row_sum, SizeSet.CHECKS, 1, reference),
    ]
    assert len({case.trial.inputs["x"].tobytes() for case in cases}) == 2 * len(Kind)


def test_every_instance_and_every_kind_occur(row_sum, reference):
    cases = draw_cases(row_sum, SizeSet.CHECKS, 5, reference)
    assert {case.kind for case in cases} == set(Kind)
    assert [case.instance.sizes["rows"] for case in cases] == [37, 70, 37, 37, 37, 37]


def test_a_larger_size_gets_the_kinds_that_tell_most_there(row_sum):
    long = row_sum.checks[0].model_copy(update={"program": "long"})
    for seed in range(5):
        chosen = spread(row_sum.checks, random.Random(seed), long)
        assert {kind for _, kind in chosen} == set(Kind)
        assert {Kind.SIGNED, Kind.BELOW, Kind.LARGE} <= {
            kind for instance, kind in chosen if instance is long
        }


def test_the_fingerprint_is_of_what_is_judged(row_sum, double):
    assert problem_digest(row_sum, SizeSet.CHECKS) != problem_digest(double, SizeSet.CHECKS)
    assert problem_digest(row_sum, SizeSet.CHECKS) != problem_digest(row_sum, SizeSet.ALIGNED)
    renamed = row_sum.model_copy(update={"id": "another"})
    assert problem_digest(row_sum, SizeSet.CHECKS) == problem_digest(renamed, SizeSet.CHECKS)
    stricter = row_sum.model_copy(update={"tolerance": 1e-6})
    assert problem_digest(row_sum, SizeSet.CHECKS) != problem_digest(stricter, SizeSet.CHECKS)


class Restless:
    """A backend whose second run of the first case gives something else."""

    def __init__(self, backend):
        self._backend = backend

    def run(self, built, runs):
        outcome = self._backend.run(built, runs)
        other = {name: values + 1 for name, values in outcome.outputs[0].items()}
        return RunOutcome(outcome.outputs, (*outcome.repeats, (0, other)))

    def __getattr__(self, name):
        return getattr(self._backend, name)


def test_what_another_run_gives_must_be_as_right(row_sum, simt, reference):
    found = {}
    for body in (GUARDED, GUARDED.replace("= s;", "= s + 1;")):
        text = f"```cuda\n{row(body)}\n```"
        verdict = check(
            row_sum, text, sizes=SizeSet.CHECKS, seed=0, backend=Restless(simt), reference=reference
        )
        found[verdict.status] = verdict.reason
    assert set(found) == {Status.NONDETERMINISTIC, Status.WRONG}
    assert "another run on the same inputs" in found[Status.NONDETERMINISTIC]
