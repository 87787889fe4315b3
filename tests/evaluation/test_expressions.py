"""The launch-line arithmetic: C's precedence, Python's integers, and nothing else."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.answer.expression_parser import MAX_DEPTH, read_expressions
from evaluation.expressions import ExpressionError, Scope, UnknownNameError, evaluate

SCOPE = Scope(sizes={"n": 1000, "rows": 37, "zero": 0}, shapes={"x": (37, 45), "s": ()})


def parse(text):
    expressions = read_expressions(text)
    if len(expressions) != 1:
        raise ExpressionError("not one expression")
    return expressions[0]


def value(text):
    return evaluate(parse(text), SCOPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("20 - 5 - 5", 10),
        ("100 / 10 / 5", 2),
        ("7 % 4 * 2", 6),
        ("n / 256", 3),
        ("(n + 255) / 256", 4),
        ("ceil_div(n, 256)", 4),
        ("ceil_div(rows * 45, 32)", 53),
        ("-7 / 2", -4),
        ("2 * -3", -6),
        ("min(n, 256, rows)", 37),
        ("max(rows)", 37),
        ("numel(x)", 1665),
        ("numel(s)", 1),
        ("size(x, 0) * size(x, -1)", 1665),
        ("min(ceil_div(numel(x), 256), 1024)", 7),
    ],
)
def test_values(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "1 +", "(1", "1)", "1 2", "f(1)", "ceil_div(1)", "ceil_div(1,2,3)", "min()", "size(x)",
        "numel(3)", "n ** 2", "n // 2", "x[0]", "n; n", "__import__('os')", "n.bit_length()",
        "0x", "3f", "010", "1'", "n ? 1 : 2", "n if n else 1", "--1", "é",
    ],
)  # fmt: skip
def test_outside_the_grammar(text):
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize("text", ["m", "numel(n)", "size(y, 0)", "x + 1"])
def test_unknown_names_are_told_apart(text):
    with pytest.raises(UnknownNameError):
        value(text)


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0", "1 % zero", "ceil_div(1, zero)", "size(x, 2)", "size(x, -3)", "size(s, 0)",
        "9223372036854775807 + 1", "99999999999999999999", " * ".join(["n"] * 10),
    ],
)  # fmt: skip
def test_values_that_do_not_exist(text):
    with pytest.raises(ExpressionError):
        value(text)


def test_depth_is_bounded():
    assert value("(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1)) == 1
    for text in ("(" * 10_000, "-" * 10_000, "1+" * 10_000 + "1", "min(" * 10_000, "9" * 10_000):
        with pytest.raises(ExpressionError):
            parse(text)


@given(st.text(alphabet="0123456789nxrows+-*/%(), minaxcel_dvu.e\t"))
def test_any_text_gives_a_value_or_an_expression_error(text):
    with suppress(ExpressionError):
        assert isinstance(value(text), int | float)


@given(st.integers(0, 2**32))
def test_agrees_with_python_on_random_expressions(seed):
    text = _random_expression(random.Random(seed), depth=3)
    try:
        expected = eval(text.replace("/", "//"), {"rows": 37, "min": min, "max": max})
    except ZeroDivisionError:
        with pytest.raises(ExpressionError):
            value(text)
    else:
        assert value(text) == expected


def _random_expression(rng, depth):
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(["rows", str(rng.randrange(100))])
    left, right = _random_expression(rng, depth - 1), _random_expression(rng, depth - 1)
    if rng.random() < 0.2:
        return f"{rng.choice(['min', 'max'])}({left}, {right})"
    text = f"{left} {rng.choice('+-*/%')} {right}"
    return f"({text})" if rng.random() < 0.5 else text
