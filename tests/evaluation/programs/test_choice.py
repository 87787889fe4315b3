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


MATRIX = """
import torch
rows, cols = 4096, 4096
def get_inputs():
    return [torch.randn(rows, cols)]
def fused_operator(x):
    return x.sum(dim=0)
"""
COLUMNS = """\
// launch clear<<<{clear}, 256>>>(out, cols)
// launch k<<<dim3(ceil_div(cols, 64), 8), 64>>>(x, out, rows, cols)
extern "C" __global__ void clear(float* out, int cols) {{ out[blockIdx.x * 256 + threadIdx.x] = 0.0f; }}
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {{ {first} }}
"""


@pytest.mark.parametrize(
    ("clear", "first", "passes"),
    [("16", "", True), ("3", "", False), ("ceil_div(cols, 256)", "", False), ("1", "float row[4096];", True)],
)
def test_what_may_be_written_for_the_shipped_size_alone_is_tried_beyond_it(reference, clear, first, passes):
    problem = problem_from_program(MATRIX, id="p", source="test", reference=reference)
    chosen = beyond(problem, parse_source(COLUMNS.format(clear=clear, first=first)), "0")
    assert any(problem.ladder[index].sizes["cols"] > 4096 for index in chosen) == passes


EMBEDDING = """
import torch
import torch.nn as nn
vocabulary = 32000
class Model(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.table = nn.Embedding(vocabulary, 64)
    def forward(self, x):
        return self.table(x)
def get_inputs():
    return [torch.randint(0, vocabulary, (512,))]
def get_init_inputs():
    return [vocabulary]
"""


def test_parameters_are_long_too(reference):
    problem = problem_from_program(EMBEDDING, id="p", source="test", reference=reference)
    kernel = KERNEL.format(first="").replace("(n,", "(numel(out),").replace("out, n)\n", "out, numel(out))\n")
    chosen = beyond(problem, parse_source(kernel), "0")
    assert max(problem.ladder[index].parameters[0].shape[0] for index in chosen) > 4_100
