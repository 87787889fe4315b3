"""Reading programs without running them."""

import ast
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.problem import Dialect
from evaluation.syntax import (
    ProgramError,
    constant_int,
    detect_dialect,
    fingerprint,
    input_families,
    module_constants,
    operators_of,
    parse,
)

FUNCTION = """
import torch
m, n = 8, 4

def get_inputs():
    return [torch.randn(m, n)]

def fused_operator(x):
    y = torch.relu(x)  # a comment
    return torch.nn.functional.softmax(y + 1, dim=1) @ y.t()
"""
MODEL = """
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm = nn.LayerNorm(n)
        self.act = nn.LeakyReLU()

    def forward(self, x):
        return self.act(self.norm(x)) * 2

def get_inputs():
    return [torch.rand(3, 4)]

def get_init_inputs():
    return [4]
"""


def test_both_dialects_are_told_apart():
    assert detect_dialect(FUNCTION) is Dialect.FUNCTION
    assert detect_dialect(MODEL) is Dialect.MODEL


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def fused_operator(x): return x", "no `get_inputs`"),
        ("def get_inputs(): return []", "neither `fused_operator` nor a class `Model`"),
        ("def get_inputs(:", "not valid Python"),
        ("x = '" + "a" * 70_000 + "'", "longer than"),
        ("(" * 500 + ")" * 500, "not valid Python|cannot be parsed"),
        ("x = '\0'", "not valid Python|cannot be parsed"),
        (None, "must be Python source text"),
    ],
)
def test_what_is_no_program_says_why(program, reason):
    with pytest.raises(ProgramError, match=reason):
        detect_dialect(program)


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text):
    with contextlib.suppress(ProgramError):
        detect_dialect(text)


def test_operators_come_in_order_of_application():
    assert operators_of(parse(FUNCTION)) == ("relu", "add", "softmax", "transpose", "matmul")
    assert operators_of(parse(MODEL)) == ("layer_norm", "leaky_relu", "mul")


@given(st.integers(0, 10**6), st.integers(1, 100), st.sampled_from(["+", "-", "*", "//", "%"]))
def test_constants_fold_as_python_does(left, right, sign):
    text = f"{left} {sign} {right}"
    assert constant_int(ast.parse(text, mode="eval").body) == eval(text)


@pytest.mark.parametrize("text", ["1 / 2", "1 // 0", "9 ** 9 ** 9", "True", "1.5", "f(2)", "x"])
def test_what_is_no_integer_does_not_fold(text):
    assert constant_int(ast.parse(text, mode="eval").body) is None


def test_module_constants_use_earlier_ones():
    tree = parse("m, n = 3, 4\nk: int = m * n\nname = 'x'\nflag = True\nrate = 0.5\n")
    assert module_constants(tree) == {"m": 3, "n": 4, "k": 12}


def test_fingerprint_ignores_layout_comments_and_variable_names():
    renamed = (
        FUNCTION.replace("y", "hidden_value").replace("  # a comment", "").replace("m, n", "rows,  cols")
    )
    renamed = renamed.replace("torch.randn(m, n)", "torch.randn(rows, cols)")
    assert fingerprint(renamed) == fingerprint(FUNCTION)
    documented = FUNCTION.replace("    y = torch", '    """A docstring."""\n    y = torch')
    assert fingerprint(documented) == fingerprint(FUNCTION)


@pytest.mark.parametrize(
    ("old", "new"), [("relu", "tanh"), ("8, 4", "8, 5"), ("y + 1", "y + 2"), ("dim=1", "dim=0")]
)
def test_fingerprint_keeps_what_matters(old, new):
    assert fingerprint(FUNCTION.replace(old, new)) != fingerprint(FUNCTION)


def test_fingerprint_tells_arguments_apart():
    left = "def get_inputs(): pass\ndef fused_operator(x, y): return x - y"
    assert fingerprint(left) != fingerprint(left.replace("x - y", "y - x"))


def test_only_plain_draws_have_a_family():
    program = """
def get_inputs():
    a = torch.randn(3)
    b = torch.rand(3) + 0.5
    return [a, b, torch.rand(4), torch.randint(0, 2, (3,)), 3.0]
"""
    assert input_families(parse(program)) == ["normal", None, "uniform", None, None]
