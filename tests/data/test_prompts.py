"""Prompts for generated and external programs."""

import pytest

from data.chain import Layout, Step, chain
from data.operators.registry import OPERATORS
from data.prompts import render
from data.rendering import problem
from data.settings import PromptStyle
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor

MODEL = '''
import torch

class Model(torch.nn.Module):
    """Scales."""

    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))

    def forward(self, data):
        """Apply the scale."""
        return torch.tanh(data) * self.weight

def get_inputs():
    return [torch.randn(rows, 7)]

def get_init_inputs():
    return [7]

rows = 12
'''


def _generated(layout, *steps):
    graph = chain([Step(OPERATORS[name], *operand) for name, *operand in steps], layout)
    return problem(graph, Split.TRAIN, 1e-3)


@pytest.fixture
def external():
    shipped = Instance(
        program=MODEL,
        sizes={"rows": 12},
        inputs=(Tensor(name="data", shape=(12, 7), dtype="float32"),),
        parameters=(Tensor(name="weight", shape=(7,), dtype="float32"),),
        outputs=(Tensor(name="out", shape=(12, 7), dtype="float32"),),
    )
    return Problem(
        id="m", source="models", level=1, split=Split.TRAIN, dialect=Dialect.MODEL, operators=("tanh", "mul"),
        shipped=shipped, checks=(shipped,), tolerance=1e-3, flops=1, bytes=1,
    )  # fmt: skip


def test_short_prompt_of_a_vector_program():
    problem = _generated(Layout.VECTOR, ("relu",), ("add", "y"))
    expected = "def f(x, y): # [n]\n  a = torch.relu(x)\n  return a + y\n"
    assert render(problem, PromptStyle.SHORT) == expected


def test_short_prompt_tells_different_shapes_apart():
    problem = _generated(Layout.BROADCAST, ("sub", "y", True), ("gelu",), ("sum",))
    expected = "def f(x, y): # [m,n], [n]\n  a = y - x\n  b = F.gelu(a)\n  return b.sum(1)\n"
    assert render(problem, PromptStyle.SHORT) == expected
    product = _generated(Layout.MATMUL, ("matmul",))
    assert render(product, PromptStyle.SHORT) == "def f(x, y): # [m,k], [k,n]\n  return x @ y\n"


def test_short_prompt_of_an_external_model(external):
    expected = "def f(data, weight): # [rows,7], [7]\n  return torch.tanh(data) * self.weight\n"
    assert render(external, PromptStyle.SHORT) == expected


def test_short_prompt_of_a_published_function(external):
    program = "import torch\nn = 12\ndef fused_operator(data):\n    return [data + 1]\n"
    shipped = external.shipped.model_copy(update={"program": program, "sizes": {"n": 12}, "parameters": ()})
    problem = external.model_copy(update={"shipped": shipped, "dialect": Dialect.FUNCTION})
    assert render(problem, PromptStyle.SHORT) == "def f(data): # [n,7]\n  return [data + 1]\n"


def test_full_prompt_holds_the_program_the_tensors_and_the_contract(external):
    text = render(external, PromptStyle.FULL)
    assert external.shipped.program.strip() in text
    for line in (
        "- input `data`: float32[rows, 7]",
        "- parameter `weight`: float32[7]",
        "- output `out`: float32[rows, 7]",
    ):
        assert line in text
    assert "rows = 12" in text
    assert "// launch" in text and "// scratch" in text and "guard" in text


def test_full_prompt_keeps_braces_of_the_program(external):
    program = external.shipped.program + "\ntable = {'a': 1}\n"
    shipped = external.shipped.model_copy(update={"program": program})
    assert "{'a': 1}" in render(external.model_copy(update={"shipped": shipped}), PromptStyle.FULL)


def test_a_program_without_the_function_is_named(external):
    problem = external.model_copy(update={"dialect": Dialect.FUNCTION})
    with pytest.raises(ValueError, match="m has no function fused_operator"):
        render(problem, PromptStyle.SHORT)
