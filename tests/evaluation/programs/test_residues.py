"""Sizes at the residues that a kernel names, where a fault would else pass by luck."""

import pytest

from evaluation.candidate import parse_source
from evaluation.check import SizeSet, check
from evaluation.problem import Instance, Tensor
from evaluation.programs.program import problem_from_program
from evaluation.programs.residues import at_residues, residues
from evaluation.verdict import Status

PROGRAM = """
import torch
n = 1 << 22
def get_inputs():
    return [torch.randn(n)]
def fused_operator(x):
    return x * 2
"""
KERNEL = """\
// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)
{defined}
extern "C" __global__ void k(const float* x, float* out, int n) {{
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) out[i] = {fault} ? 0.0f : 2.0f * x[i];
}}
"""
LAST = "i == n - 1 && "
WINDOWED = """
import torch
import torch.nn.functional as F
b = 64
n = 4096
def get_inputs():
    return [torch.randn(b, 1, n), torch.randn(1, 1, 3)]
def fused_operator(x, weight):
    return F.conv1d(x, weight)
"""


@pytest.fixture(scope="module")
def problem(reference):
    return problem_from_program(PROGRAM, id="p", source="test", reference=reference)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if (i % 97 == 5)", [(97, 5)]),
        ("#define M 53\nint r = i % M; if (r == 7)", [(53, 7)]),
        ("if ((n & 63) == 17)", [(64, 17)]),
        ("if ((i - 3) % 1000 == 500)", [(1000, 500), (1000, 503)]),
        ("if ((i + 3) % 97 == 1)", [(97, 1), (97, 95)]),
        ("if (threadIdx.x % 32 == 0) if (i < 1)", []),
        ("int row = i / cols, col = i % cols;", []),
    ],
)
def test_residues_are_found_but_for_the_usual_lanes(source, found):
    assert residues(source) == found


@pytest.mark.parametrize(
    ("defined", "fault"),
    [
        ("", LAST + "i % 97 == 5"),
        ("", "n % 89 == 3 && i + 1 == n"),
        ("#define STEP 61", LAST + "(i % STEP) == 12"),
        ("", "(n & 127) == 77"),
        ("constexpr int kStep = 211;", "n % kStep == 100"),
    ],
)
def test_a_fault_at_a_rare_residue_is_found(problem, simt, reference, defined, fault):
    source = KERNEL.format(defined=defined, fault=fault)
    verdict = check(
        problem, f"```cuda\n{source}```", sizes=SizeSet.CHECKS, seed=3, backend=simt, reference=reference
    )
    assert verdict.status is Status.WRONG, verdict.reason


def test_a_right_kernel_with_a_rare_modulus_stays_right(problem, simt, reference):
    source = KERNEL.format(defined="", fault="i % 97 == 5 && i > n")
    verdict = check(
        problem, f"```cuda\n{source}```", sizes=SizeSet.CHECKS, seed=3, backend=simt, reference=reference
    )
    assert verdict.correct, verdict.reason


def test_a_kernel_without_residues_costs_nothing(problem, reference):
    source = KERNEL.format(defined="", fault="false")
    assert at_residues(problem, parse_source(source).source, reference) == []


@pytest.mark.parametrize("b", [2, 3])
def test_the_length_of_a_window_is_no_size(reference, b):
    """Even where a size is as long."""
    problem = problem_from_program(WINDOWED, id="w", source="test", reference=reference)
    shapes = {"x": (b, 1, 17), "weight": (1, 1, 3), "out": (b, 1, 15)}
    x, weight, out = (Tensor(name=name, shape=shape, dtype="float32") for name, shape in shapes.items())
    program = WINDOWED.replace("64", str(b)).replace("4096", "17")
    check = Instance(program=program, sizes={"b": b, "n": 17}, inputs=(x, weight), outputs=(out,))
    found = at_residues(problem.model_copy(update={"checks": (check,)}), "i % 3 == 0", reference)
    assert {one.inputs[0].shape for one in found} > {(b, 1, 18)}
    assert {one.inputs[1].shape for one in found} == {(1, 1, 3)}
