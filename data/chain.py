"""Chains: graphs of a few operators on matrices or vectors, each of which takes the value before it.

A chain has the inputs `x` and perhaps `y`. At most one of its operators is not elementwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from data.building import Builder
from data.graph import Graph
from data.operators.dims import COLUMNS, INNER, PRODUCT_COLUMNS, PRODUCT_ROWS, ROWS, VECTOR, Kind
from data.operators.extents import Shape
from data.operators.operator import Operator
from evaluation.expressions import Size


class Layout(StrEnum):
    """Shapes of the inputs, by size names."""

    VECTOR = "vector"  #: x [n], y [n]
    MATRIX = "matrix"  #: x [m, n], y [m, n]
    BROADCAST = "broadcast"  #: x [m, n], y [n]
    MATMUL = "matmul"  #: x [m, k], y [k, n]


_MATRIX = {"m": ROWS, "n": COLUMNS}
_SIZES: dict[Layout, dict[str, Kind]] = {
    Layout.VECTOR: {"n": VECTOR},
    Layout.MATRIX: _MATRIX,
    Layout.BROADCAST: _MATRIX,
    Layout.MATMUL: {"m": PRODUCT_ROWS, "n": PRODUCT_COLUMNS, "k": INNER},
}
#: Shapes of `x` and `y` by size names.
_SHAPES: dict[Layout, tuple[str, str]] = {
    Layout.VECTOR: ("n", "n"),
    Layout.MATRIX: ("mn", "mn"),
    Layout.BROADCAST: ("mn", "n"),
    Layout.MATMUL: ("mk", "kn"),
}


class Role(StrEnum):
    """What an operator can be in a chain."""

    POINTWISE = "pointwise"  #: one value in, one out
    BINARY = "binary"  #: elementwise on two
    REDUCTION = "reduction"  #: [m, n] to [m]: the last step
    STRUCTURED = "structured"  #: of a kernel of its own, and of pointwise company only


@dataclass(frozen=True)
class Step:
    """One operator; a binary one names its other operand and on which side that stands."""

    operator: Operator
    operand: str | None = None
    swapped: bool = False


@cache
def role(operator: Operator) -> Role | None:
    """What an operator can be in a chain, by its signature; None for one that has no place there."""
    shapes = operator.shapes
    if operator.attributes or operator.domains or len(shapes.results) != 1 or shapes.results[0].dtype:
        return None
    if operator.elementwise:
        return {1: Role.POINTWISE, 2: Role.BINARY}.get(len(shapes.operands))
    if is_product(operator):
        return Role.STRUCTURED
    m, n = Size("m"), Size("n")
    if len(shapes.operands) > 1 or shapes.operands[0].shape != (m, n):
        return None
    by_result: dict[Shape, Role] = {(m,): Role.REDUCTION, (m, n): Role.STRUCTURED, (n, m): Role.STRUCTURED}
    return by_result.get(shapes.results[0].shape)


def is_product(operator: Operator) -> bool:
    """Whether it takes a matrix of its own beside the value."""
    return operator.signature == "x[m, k], y[k, n] -> out[m, n]"


def chain(steps: Sequence[Step], layout: Layout, dtype: str = "float32") -> Graph:
    """The graph of the steps, on inputs that lie so."""
    builder = Builder(dtype, layout)
    sizes = {name: builder.size(name, kind) for name, kind in _SIZES[layout].items()}
    x, y = (
        (name, tuple(sizes[size] for size in shape))
        for name, shape in zip("xy", _SHAPES[layout], strict=True)
    )
    value = builder.input(*x)
    if layout is Layout.MATMUL or any(step.operand == "y" for step in steps):
        builder.input(*y)
    for step in steps:
        other = "y" if is_product(step.operator) else step.operand
        operands = [value] if other is None else [other, value] if step.swapped else [value, other]
        (value,) = builder.add(step.operator, operands)
    return builder.graph(value)


def fits(operators: Sequence[Operator]) -> bool:
    """Whether the operators can make one chain.

    At most one is a reduction or structured, and a structured one takes pointwise company only.
    """
    roles = [role(operator) for operator in operators]
    cores = [found for found in roles if found in (Role.REDUCTION, Role.STRUCTURED)]
    if None in roles or len(cores) > 1:
        return False
    return Role.STRUCTURED not in cores or roles.count(Role.POINTWISE) == len(roles) - 1
