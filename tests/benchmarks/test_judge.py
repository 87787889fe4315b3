"""The benchmark of the judge: its kernels, its rules, and the witnesses that mutants are wrong."""

from __future__ import annotations

import shutil

import pytest

from evaluation.candidate import parse
from evaluation.verdict import Refusal
from tests.benchmarks.judge.corpus import programs, right_kernels
from tests.benchmarks.judge.interpreter import Interpreter
from tests.benchmarks.judge.kernels.text import Style
from tests.benchmarks.judge.launches import plan
from tests.benchmarks.judge.published import passes
from tests.benchmarks.judge.rules.all import RULES, mutants
from tests.benchmarks.judge.rules.rule import Family
from tests.benchmarks.judge.witness import Original

FIRST_OF = {(kernel.program, kernel.style): kernel.text for kernel in reversed(right_kernels())}


@pytest.fixture(scope="module")
def interpreter():
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    with Interpreter() as opened:
        yield opened


@pytest.fixture
def witness(interpreter):
    """Why a fault in the first kernel of a program and style is one, or None."""

    def find(program, style, before, after):
        text = FIRST_OF[program, style]
        assert before in text
        return Original(interpreter, programs()[program], text).witness(
            text.replace(before, after), mixed=True
        )

    return find


def test_there_are_500_right_kernels_in_ten_styles():
    kernels = right_kernels()
    assert len(kernels) >= 500
    assert len({kernel.program for kernel in kernels}) >= 25
    assert {kernel.style for kernel in kernels} == set(Style)


def test_every_right_kernel_is_read_by_the_judge():
    assert [kernel for kernel in right_kernels() if isinstance(parse(kernel.response), Refusal)] == []


def test_every_rule_applies_somewhere_and_changes_the_text():
    found = mutants(right_kernels(), per_rule=1)
    assert {mutant.rule for mutant in found} == set(RULES)
    assert {rule.family for rule in RULES} == set(Family)
    assert all(mutant.text != mutant.original.text for mutant in found)
    assert len({(rule.family, rule.name) for rule in RULES}) == len(RULES) >= 60


@pytest.mark.parametrize(
    ("program", "style", "before", "after", "words"),
    [
        ("leaky_relu", Style.NAIVE, "if (i < n) {", "{", "crashed"),
        ("leaky_relu", Style.NAIVE, "0.1f * u", "0.101f * u", "times the tolerance"),
        ("row_sum", Style.ATOMICS, "atomicAdd(&out[blockIdx.x], a);", "out[blockIdx.x] += a;", "random"),
        ("row_sum", Style.ATOMICS, "out[r] = 0.f;", ";", "times the tolerance"),
        ("row_sum", Style.LAST_BLOCK, "    __threadfence();\n    int", "    int", "weak"),
        ("mse_loss", Style.TILED, "    __syncthreads();\n  }", "  }", "times the tolerance"),
        (
            "row_max",
            Style.NAIVE,
            "<<<ceil_div(rows, 64), 64>>>",
            "<<<ceil_div(rows, 2048), 2048>>>",
            "2048 threads",
        ),
        (
            "conv2d",
            Style.TILED,
            "ceil_div((width - 1) / 2 + 1, 8)",
            "((width - 1) / 2 + 1) / 8",
            "the plan fails",
        ),
        ("leaky_relu", Style.GRID_STRIDE, "i < n;", "n > i;", None),
    ],
)
def test_a_witness_shows_a_fault_and_only_a_fault(witness, program, style, before, after, words):
    found = witness(program, style, before, after)
    assert found is None if words is None else words in found


def test_the_published_procedure_misses_a_bound_and_sees_a_wrong_constant(interpreter):
    text = FIRST_OF["leaky_relu", Style.NAIVE]
    program = programs()["leaky_relu"]
    assert passes(interpreter, program, text, text) == (True, True)
    assert passes(interpreter, program, text, text.replace("if (i < n) {", "{")) == (True, True)
    assert passes(interpreter, program, text, text.replace("0.1f", "0.2f")) == (False, False)


def test_launch_lines_are_read_without_the_judge():
    text = (
        "// scratch part float32[rows * 2]\n"
        "// launch k<<<dim3(ceil_div(size(x, 1), 32), 3), 64, 64 * 4>>>(x, part, rows, numel(x) / 2)\n"
    )
    found = plan(text, {"rows": 5}, {"x": (5, 70)})
    (launch,) = found.launches
    assert (launch.grid, launch.block, launch.shared) == ((3, 3, 1), (64, 1, 1), 256)
    assert launch.arguments == ("x", "part", 5, 175)
    assert found.scratch == {"part": ((10,), "float32")}
