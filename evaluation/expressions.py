"""The closed arithmetic of launch and scratch lines, as a tree: read by `expression_parser`, never `eval`ed.

Values are integers of 64 bits, and floats in the arguments of a kernel. Between integers `/` rounds down and
`%` goes with it, as in Python; where one is a float, both are. Dividing by zero is an error. The size of a
tree is bounded by its parser, so no text can exhaust the machine.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod, sqrt
from typing import TypeAlias

MAX_VALUE = 2**63 - 1
"""Largest magnitude of any intermediate integer."""
MAX_SHIFT = 62
"""Largest distance of a shift."""

Value: TypeAlias = int | float

_OF_BOTH: dict[str, Callable[..., Value]] = {
    "+": operators.add, "-": operators.sub, "*": operators.mul,
    "min": lambda *values: min(values), "max": lambda *values: max(values),
}  # fmt: skip
"""Operators of integers and of floats alike."""
_OF_INTEGERS: dict[str, Callable[[int, int], int]] = {
    "/": operators.floordiv, "%": operators.mod, "ceil_div": lambda left, right: -(-left // right),
    "<<": operators.lshift, ">>": operators.rshift,
    "&": operators.and_, "|": operators.or_, "^": operators.xor,
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
            return value
        case Size(name):
            return _size(name, scope)
        case Numel(tensor):
            return _bounded(prod(_shape(tensor, scope)))
        case Dimension(tensor, index):
            return _extent(tensor, evaluate_integer(index, scope), scope)
        case Operation(operator, operands):
            values = [evaluate(operand, scope) for operand in operands]
            if all(isinstance(value, int) for value in values):
                return _bounded(_of_integers(operator, [int(value) for value in values]))
            return _bounded(_of_floats(operator, [float(value) for value in values]))


def evaluate_integer(expression: Expression, scope: Scope) -> int:
    """Work out an expression that must be an integer; raises as `evaluate` does, and for a fraction."""
    return _whole(evaluate(expression, scope))


def _of_integers(operator: str, values: Sequence[int]) -> Value:
    if operator in _OF_BOTH:
        return int(_OF_BOTH[operator](*values))
    if operator == "int":
        return values[0]
    if operator not in _OF_INTEGERS:
        return _of_floats(operator, [float(value) for value in values])
    left, right = values
    if operator in ("<<", ">>") and not 0 <= right <= MAX_SHIFT:
        raise ExpressionError(f"a shift by {right} bits; it must be from 0 to {MAX_SHIFT}")
    if operator in ("/", "%", "ceil_div") and right == 0:
        raise ExpressionError(f"division by zero ({left} {operator} 0)")
    return _OF_INTEGERS[operator](left, right)


def _of_floats(operator: str, values: Sequence[float]) -> float:
    if operator in _OF_BOTH:
        return float(_OF_BOTH[operator](*values))
    match operator, values:
        case "float", [value]:
            return value
        case "/", [left, right] if right:
            return left / right
        case "/", [left, _]:
            raise ExpressionError(f"division by zero ({left} / 0)")
        case "sqrt", [value] if value >= 0:
            return sqrt(value)
        case "rsqrt", [value] if value > 0:
            return 1 / sqrt(value)
        case (("sqrt" | "rsqrt"), [value]):
            raise ExpressionError(f"{operator}({value}) does not exist")
    raise ExpressionError(f"{operator} takes no fractions; {_WHOLE}")


def _whole(value: Value) -> int:
    if isinstance(value, float):
        raise ExpressionError(f"{value} is a fraction where an integer belongs; {_WHOLE}")
    return value


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
