"""Reading programs without running them."""

import ast
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.problem import Dialect
from evaluation.reference.syntax import (
    ProgramError,
    constant_int,
    detect_dialect,
    module_constants,
    operators_of,
    parse,
    program_identity,
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
        ("x = " + " + ".join(["y"] * 700), "nested more than 150 deep"),
        ("x = y" + ".clone()" * 700, "nested more than 150 deep"),
        ("x = " + "-" * 700 + "y", "nested more than 150 deep"),
        ("x = 0x" + "f" * 5000, "an integer of more than 1024 bits"),
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


@pytest.mark.parametrize(
    ("result", "operators"),
    [
        ("x > 0", ("gt",)),
        ("~x[1:]", ("index", "bitwise_not")),
        ("-x if x is None else x", ("neg",)),
        ("x & 3", ("bitwise_and",)),
        ("x.exp() > 0", ("exp",)),
    ],
)
def test_comparisons_signs_and_indexing_are_operators_where_there_are_no_others(result, operators):
    text = f"def get_inputs():\n    return [-1 > 0]\ndef fused_operator(x):\n    return {result}\n"
    assert operators_of(parse(text)) == operators


@given(st.integers(0, 10**6), st.integers(1, 100), st.sampled_from(["+", "-", "*", "//", "%"]))
def test_constants_fold_as_python_does(left, right, sign):
    text = f"{left} {sign} {right}"
    assert constant_int(ast.parse(text, mode="eval").body) == eval(text)


@pytest.mark.parametrize(
    "text",
    ["1 / 2", "1 // 0", "9 ** 9 ** 9", "True", "2 ** 63", "1024 ** 64", "-4 ** 32 * 2", "1.5", "f(2)", "x"],
)
def test_what_is_no_integer_does_not_fold(text):
    assert constant_int(ast.parse(text, mode="eval").body) is None


def test_module_constants_use_earlier_ones():
    tree = parse("m, n = 3, 4\nk: int = m * n\nname = 'x'\nflag = True\nrate = 0.5\n")
    assert module_constants(tree) == {"m": 3, "n": 4, "k": 12}


def test_constants_that_grow_are_folded_up_to_64_bits():
    lines = ["a0 = 3"] + [f"a{index + 1} = a{index} * a{index}" for index in range(60)]
    assert list(module_constants(parse("\n".join(lines))).values()) == [3, 9, 81, 6561, 43046721, 3**32]


def test_the_deepest_program_can_be_written_and_told_from_others():
    for text in ("x = y" + ".f()" * 70, "x = " + "+".join(["y"] * 140), "if x: 0\n" + "elif x: 0\n" * 140):
        assert parse(ast.unparse(parse(text)))
        assert len(program_identity(text)) == 64


def test_fingerprint_ignores_layout_comments_and_variable_names():
    renamed = (
        FUNCTION.replace("y", "hidden_value").replace("  # a comment", "").replace("m, n", "rows,  cols")
    )
    renamed = renamed.replace("torch.randn(m, n)", "torch.randn(rows, cols)")
    assert program_identity(renamed) == program_identity(FUNCTION)
    documented = FUNCTION.replace("    y = torch", '    """A docstring."""\n    y = torch')
    assert program_identity(documented) == program_identity(FUNCTION)


@pytest.mark.parametrize(
    ("old", "new"), [("relu", "tanh"), ("8, 4", "8, 5"), ("y + 1", "y + 2"), ("dim=1", "dim=0")]
)
def test_fingerprint_keeps_what_matters(old, new):
    assert program_identity(FUNCTION.replace(old, new)) != program_identity(FUNCTION)


def test_fingerprint_tells_arguments_apart():
    left = "def get_inputs(): pass\ndef fused_operator(x, y): return x - y"
    assert program_identity(left) != program_identity(left.replace("x - y", "y - x"))
