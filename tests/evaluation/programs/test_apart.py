"""Sizes that are equal as shipped, told apart for kernels that name both."""

import pytest

from evaluation.candidate import parse_source
from evaluation.programs.apart import told_apart
from evaluation.programs.program import problem_from_program

NAMED = """
import torch
import torch.nn.functional as F
batch, channels, height, width = 16, 32, 128, 128
def get_inputs():
    return [torch.rand(batch, channels, height, width)]
def fused_operator(x):
    return F.avg_pool2d(x, 2)
"""
LITERAL = NAMED.replace("torch.rand(batch, channels, height, width)", "torch.rand(16, 32, 128, 128)").replace(
    "batch, channels, height, width = 16, 32, 128, 128\n", ""
)
PRODUCT = """
import torch
def get_inputs():
    return [torch.rand(512, 512), torch.rand(512, 512)]
def fused_operator(a, b):
    return a @ b
"""


def candidate(arguments):
    return parse_source(
        f'// launch k<<<1, 32>>>({arguments})\nextern "C" __global__ void k(const float* x, float* out) {{}}'
    )


@pytest.fixture(scope="module", params=[NAMED, LITERAL], ids=["named", "literal"])
def images(request, reference):
    return problem_from_program(request.param, id="p", source="test", reference=reference)


def test_sides_differ_for_a_kernel_that_names_both(images, reference):
    found = told_apart(images, candidate("x, out, size(x, 2), size(x, 3)"), reference)
    assert found
    for instance in found:
        height, width = instance.inputs[0].shape[2:]
        assert height != width


@pytest.mark.parametrize("arguments", ["x, out", "x, out, size(x, 2)", "x, out, numel(out), size(x, -2)"])
def test_sides_stay_equal_for_a_kernel_of_squares(images, reference, arguments):
    assert told_apart(images, candidate(arguments), reference) == []


def test_names_of_sides_count_as_extents(reference):
    problem = problem_from_program(NAMED, id="p", source="test", reference=reference)
    found = told_apart(problem, candidate("x, out, height, width"), reference)
    assert {instance.sizes["height"] == instance.sizes["width"] for instance in found} == {False}


def test_extents_of_several_inputs_change_together(reference):
    problem = problem_from_program(PRODUCT, id="p", source="test", reference=reference)
    found = told_apart(problem, candidate("a, b, out, size(a, 0), size(a, 1), size(b, 1)"), reference)
    assert found
    for instance in found:
        a, b = (tensor.shape for tensor in instance.inputs)
        assert a[1] == b[0]
        assert len({*a, *b}) == 2
