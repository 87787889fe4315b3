"""Extents in normal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.operators.extents import c_text, normal, python_text, quotient, read, single, value

SIZES = {"h": 13, "w": 9, "c": 4}


@pytest.mark.parametrize(
    ("text", "normal_text"),
    [
        ("h + 2 * 1 - (3 - 1) - 1 + 1", "h"),
        ("(h + 3) / 2", "(h + 1) / 2 + 1"),
        ("ceil_div(h, 4)", "(h + 3) / 4"),
        ("4 * c / 2", "2 * c"),
        ("w * h - h * w", "0"),
        ("(h - 1) * 2 + 3", "2 * h + 1"),
        ("max(2, 3) * c", "3 * c"),
        ("1 - h", "1 - h"),
    ],
)
def test_equal_extents_have_one_text(text, normal_text):
    assert c_text(normal(read(text))) == normal_text
    assert normal(normal(read(text))) == normal(read(text))


def test_a_program_divides_as_python_does():
    assert python_text(normal(read("(h - 3) / 2 + 1"))) == "(h + 1) // 2 - 1"


def _texts():
    leaves = st.sampled_from(["h", "w", "c", "1", "2", "5"])

    def larger(inner):
        pairs = st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})")
        return pairs | st.tuples(inner, st.integers(1, 5)).map(lambda parts: f"({parts[0]} / {parts[1]})")

    return st.recursive(leaves, larger, max_leaves=6)


@given(_texts())
def test_the_normal_form_has_the_same_value_in_both_languages(text):
    expression = read(text)
    wanted = value(expression, SIZES)
    found = normal(expression)
    assert value(found, SIZES) == wanted
    assert value(read(c_text(found)), SIZES) == wanted
    assert eval(python_text(found), dict(SIZES)) == wanted


def test_parts_of_an_extent():
    assert quotient(read("4 * c + 2"), 2) == normal(read("2 * c + 1"))
    assert quotient(read("4 * c + 1"), 2) is None
    assert single(read("3 * c")) == (3, "c") and single(read("c + 1")) is None


@pytest.mark.parametrize("text", ["h / w", "numel(x)", "h / 0", "1.5"])
def test_what_is_no_extent_is_refused(text):
    with pytest.raises(ValueError):
        normal(read(text))
