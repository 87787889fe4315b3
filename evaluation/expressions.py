"""The closed arithmetic of launch and scratch lines, as a tree: read by `expression_parser`, never `eval`ed.

Values are integers of 64 bits, and floats in the arguments of a kernel. Between integers `/` rounds down and
`%` goes with it, as in Python; dividing by zero is an error. Parsers bound a tree's size, so no text can
exhaust the machine.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod, sqrt
from typing import TypeAlias

MAX_VALUE = 2**63 - 1
"""Largest magnitude of any intermediate integer."""

Value: TypeAlias = int | float

_OF_FLOATS: dict[str, Callable[..., Value]] = {
    "+": operators.add, "-": operators.sub, "*": operators.mul, "/": operators.truediv,
    "min": lambda *values: min(values), "max": lambda *values: max(values),
    "float": float, "sqrt": sqrt, "rsqrt": lambda value: 1 / sqrt(value),
}  # fmt: skip
_OF_INTEGERS = _OF_FLOATS | {
    "/": operators.floordiv, "%": operators.mod, "ceil_div": lambda left, right: -(-left // right),
    "<<": lambda left, right: left << min(right, 64), ">>": lambda left, right: left >> min(right, 64),
    "&": operators.and_, "|": operators.or_, "^": operators.xor, "int": int,
}  # fmt: skip
_WHOLE = "write whole numbers, and ceil_div(a, b) to round up"


class ExpressionError(ValueError):
    """The text is outside the grammar, or its value does not exist at the given sizes.

    It becomes a candidate's `Refusal`; it never reaches a person as an exception.
    """


class UnknownNameError(ExpressionError):
    """The expression names something that the problem does not have, or a tensor where a number belongs."""


@dataclass(frozen=True)
class Number:
    """A literal."""

    value: Value


@dataclass(frozen=True)
class Size:
    """A named size of the problem, or a constant of the source; a whole argument may be a buffer's name."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An operator, or the call of a function of numbers, on its operands."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Numel:
    """Number of elements of a tensor."""

    tensor: str


@dataclass(frozen=True)
class Dimension:
    """One extent of a tensor; negative indices count from the end."""

    tensor: str
    index: Expression


Expression: TypeAlias = Number | Size | Operation | Numel | Dimension


@dataclass(frozen=True)
class Scope:
    """What names mean at one choice of sizes."""

    sizes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, Value] = field(default_factory=dict)
    """Constants of the source; a size of the same name comes first."""


def evaluate(expression: Expression, scope: Scope) -> Value:
    """Work an expression out at one choice of sizes.

    Raises ExpressionError for a zero divisor, a dimension that does not exist or a value out of range, and
    UnknownNameError for a name that `scope` does not have.
    """
    match expression:
        case Number(value):
            return _bounded(value)
        case Size(name):
            return _size(name, scope)
        case Numel(tensor):
            return _bounded(prod(_shape(tensor, scope)))
        case Dimension(tensor, index):
            return _extent(tensor, evaluate_integer(index, scope), scope)
        case Operation(operator, operands):
            return _bounded(_apply(operator, [evaluate(operand, scope) for operand in operands]))


def evaluate_integer(expression: Expression, scope: Scope) -> int:
    """Work out an expression that must be an integer; raises as `evaluate` does, and for a fraction."""
    value = evaluate(expression, scope)
    if isinstance(value, float):
        raise ExpressionError(f"{value} is a fraction where an integer belongs; {_WHOLE}")
    return value


def _apply(operator: str, values: list[Value]) -> Value:
    table = _OF_INTEGERS if all(isinstance(value, int) for value in values) else _OF_FLOATS
    try:
        return table[operator](*values)
    except ZeroDivisionError:
        raise ExpressionError(f"division by zero ({f' {operator} '.join(map(str, values))})") from None
    except (KeyError, ValueError, OverflowError):  # a shift by less than 0, the root of a negative number
        found = ", ".join(map(str, values))
        raise ExpressionError(f"{operator} of {found} is no number; {_WHOLE}") from None


def _size(name: str, scope: Scope) -> Value:
    if name in scope.sizes:
        return scope.sizes[name]
    if name in scope.shapes:
        raise UnknownNameError(
            f"{name} is a tensor where a number belongs; use numel({name}) or size({name}, i)"
        )
    if name in scope.constants:
        return scope.constants[name]
    sizes = ", ".join(scope.sizes) or "none"
    raise UnknownNameError(
        f"unknown name {name!r}; the named sizes are: {sizes} (variables of host code are unknown here)"
    )


def _shape(tensor: str, scope: Scope) -> tuple[int, ...]:
    if tensor not in scope.shapes:
        raise UnknownNameError(f"unknown tensor {tensor!r}; the tensors are: {', '.join(scope.shapes)}")
    return scope.shapes[tensor]


def _extent(tensor: str, index: int, scope: Scope) -> int:
    shape = _shape(tensor, scope)
    if not -len(shape) <= index < len(shape):
        raise ExpressionError(f"size({tensor}, {index}) does not exist: {tensor} has {len(shape)} dimensions")
    return shape[index]


def _bounded(value: Value) -> Value:
    if isinstance(value, int) and abs(value) > MAX_VALUE:
        raise ExpressionError("a value does not fit 64 bits")
    if not isfinite(value):
        raise ExpressionError("a float is too large")
    return value
