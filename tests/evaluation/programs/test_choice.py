"""The larger sizes of one candidate: beyond its constants, not beyond what it costs."""

import pytest

from evaluation.candidate import parse_source
from evaluation.programs.choice import beyond, constants
from evaluation.programs.program import problem_from_program

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
extern "C" __global__ void k(const float* x, float* out, int n) {{
    {first}
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) out[i] = 2.0f * x[i];
}}
"""


@pytest.fixture(scope="module")
def problem(reference):
    return problem_from_program(PROGRAM, id="p", source="test", reference=reference)


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("n > 100000", 100000), ("n > 0x186A0", 100000), ("n > 1e5f", 100000), ("n <= 1 << 20", 1 << 20),
        ("n > 300 * 300", 90000), ("n >> 17", 1 << 17), ("unsigned short c", 4 * 65535), ("uint8_t c", 1020),
    ],
)  # fmt: skip
def test_numbers_are_found_however_they_are_written(source, number):
    assert number in constants(source)


@pytest.mark.parametrize(
    ("first", "least"),
    [("", 10_000), ("if (n > 100000) return;", 100_001), ("if (n > (1 << 18)) return;", 200_000)],
)
def test_sizes_are_beyond_the_constants_of_the_kernel(problem, first, least):
    candidate = parse_source(KERNEL.format(first=first))
    for secret in map(str, range(5)):
        chosen = beyond(problem, candidate, secret)
        assert max(problem.ladder[index].inputs[0].numel for index in chosen) >= least
        assert chosen == beyond(problem, candidate, secret)
