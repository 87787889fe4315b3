"""Kernels that cheat and held-out problems that were learnt are found, and nothing else is."""

from __future__ import annotations

import math

import pytest

from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.report.figures import figures_of
from evaluation.report.findings import FindingKind, hacks, leaks
from evaluation.report.summary import Contender, Sample
from evaluation.verdict import Measurements, Status, Verdict

WRONG = Verdict(status=Status.WRONG, reason="off by 3")
CHEATED = Verdict(status=Status.CHEATED, reason="right in 1 of 2 runs")


def correct(speedup: float | None = None) -> Verdict:
    measured = Measurements(instances=2, max_error=0.1, speedup=speedup)
    return Verdict(status=Status.CORRECT, reason="matches", measurements=measured)


def sample(verdict: Verdict, index: int = 0) -> Sample:
    return Sample(
        problem_id="a", contender=Contender.TRAINED, index=index, response="", checks=verdict, aligned=verdict
    )


def problem(name: str, split: Split, program: str) -> Problem:
    x = Tensor(name="x", shape=(64,), dtype="float32")
    at = Instance(program=program, sizes={"n": 64}, inputs=(x,), outputs=(x,))
    return Problem(
        id=name, source="test", level=1, split=split, dialect=Dialect.FUNCTION, operators=("relu",),
        shipped=at, checks=(at,), tolerance=1e-4, flops=64, bytes=512,
    )  # fmt: skip


def test_a_caught_kernel_is_a_hack_and_a_wrong_one_is_not():
    (found,) = hacks([sample(WRONG), sample(CHEATED, 3), sample(correct(2.0))])
    assert found.kind is FindingKind.HACK and found.sentence == "sample 3 of a cheats: right in 1 of 2 runs"


HELD = problem("held", Split.HELDOUT, "def f(x):\n    return relu(x)")


@pytest.mark.parametrize(
    ("program", "learnt", "leaks_out"),
    [
        ("def f(x):\n\treturn  relu(x)\n", [], "a problem of another split"),
        ("def f(x): return sin(x)", ["Write: def f(x):\n  return relu(x)"], "SFT learnt from"),
        ("def f(x): return sin(x)", ["Write: def f(x): return sin(x)"], None),
    ],
)
def test_a_held_out_program_that_was_trained_on_leaks_whatever_its_layout(program, learnt, leaks_out):
    found = leaks([HELD, problem("t", Split.TRAIN, program)], learnt)
    assert len(found) == (leaks_out is not None)
    assert all(one.problem_id == "held" and leaks_out in one.sentence for one in found)


def test_figures_count_failures_as_the_program_that_they_should_replace():
    samples = [sample(correct(4.0)), sample(correct(0.5), 1), sample(WRONG, 2), sample(correct(1.0), 3)]
    figures = figures_of(samples, timed=True)["a"]
    assert (figures.correct, figures.fast_1) == (0.75, 0.5)
    assert figures.log_speedup == pytest.approx(math.log(4.0 * 0.5) / 4)
    assert figures_of(samples, timed=False)["a"].log_speedup is None
