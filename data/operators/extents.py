"""Arithmetic of extents: the launch grammar's expressions, in a normal form in which equal extents are equal.

A normal extent is a sum of products of names and of quotients by a number (rounded down). So the extent of a
convolution that pads as much as it takes off is that of its input again, and the two can be added.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Mapping
from types import MappingProxyType

from evaluation.answer.expression_parser import read_expressions
from evaluation.expressions import Expression, Number, Operation, Scope, Size, evaluate_integer

Names = Mapping[str, Expression]
"""What names stand for; a name that is not there stands for itself."""
Shape = tuple[Expression, ...]

_NOTHING: Names = MappingProxyType({})
#: Coefficients of products; a product is its factors in alphabetical order, none for a number.
_Terms = dict[tuple[Expression, ...], int]
_FOLDED = {"min": min, "max": max, "%": operators.mod}


def read(text: str) -> Expression:
    """One expression as it is written in launch lines; raises ExpressionError for anything else."""
    (expression,) = read_expressions(text)
    return expression


def normal(expression: Expression, names: Names = _NOTHING) -> Expression:
    """The normal form, with names replaced by what they stand for.

    Raises ValueError for what no extent is made of: fractions, tensors, quotients of two names.
    """
    return _sum_of(_terms(expression, names))


def product(shape: Shape) -> Expression:
    """Number of elements of a shape, its factors in the shape's order."""
    result: Expression = Number(1)
    for extent in shape:
        result = extent if result == Number(1) else Operation("*", (result, extent))
    return result


def quotient(expression: Expression, factor: int) -> Expression | None:
    """A normal extent divided by a number, if that divides it."""
    terms = _terms(expression, _NOTHING)
    if any(coefficient % factor for coefficient in terms.values()):
        return None
    return _sum_of({atoms: coefficient // factor for atoms, coefficient in terms.items()})


def single(expression: Expression) -> tuple[int, str] | None:
    """Number and name of an extent such as `2 * c`."""
    match list(_terms(expression, _NOTHING).items()):
        case [((Size(name),), coefficient)]:
            return coefficient, name
    return None


def names_in(expression: Expression) -> set[str]:
    """The names that an expression uses."""
    match expression:
        case Size(name):
            return {name}
        case Operation(_, operands):
            return set().union(*(names_in(operand) for operand in operands))
    return set()


def value(expression: Expression, sizes: Mapping[str, int]) -> int:
    """The number that an extent is at the given sizes."""
    return evaluate_integer(expression, Scope(sizes, {}))


def c_text(expression: Expression) -> str:
    """As C++ and launch lines write it, where all values are positive."""
    return _text(expression, "/")[0]


def python_text(expression: Expression) -> str:
    """As a program writes it."""
    return _text(expression, "//")[0]


def atom(text: str) -> str:
    """A text that may stand beside any operator: in brackets unless it is a name, number or call."""
    return text if text.replace("_", "").isalnum() else f"({text})"


def _terms(expression: Expression, names: Names) -> _Terms:
    match expression:
        case Number(int(number)):
            return {(): number} if number else {}
        case Size(name):
            return _terms(names[name], _NOTHING) if name in names else {(expression,): 1}
        case Operation("+" | "-" as sign, (left, right)):
            factor = 1 if sign == "+" else -1
            return _added(_terms(left, names), _terms(right, names), factor)
        case Operation("*", (left, right)):
            return _multiplied(_terms(left, names), _terms(right, names))
        case Operation("/" | "ceil_div" as rounding, (left, right)):
            divisor = _terms(right, names).get((), 0)
            if _terms(right, names) != {(): divisor} or divisor < 1:
                raise ValueError(f"{c_text(expression)}: an extent is divided by a number from 1 on")
            upwards: _Terms = {(): divisor - 1} if rounding == "ceil_div" else {}
            return _divided(_added(_terms(left, names), upwards, 1), divisor)
        case Operation("min" | "max" | "%" as function, operands):
            parts = tuple(normal(operand, names) for operand in operands)
            numbers = [part.value for part in parts if isinstance(part, Number)]
            if len(numbers) == len(parts):
                folded = int(_FOLDED[function](*numbers))  # type: ignore[operator]  # of a table of three functions
                return {(): folded} if folded else {}
            return {(Operation(function, parts),): 1}
    raise ValueError(f"{expression} is no extent")


def _added(left: _Terms, right: _Terms, factor: int) -> _Terms:
    found = dict(left)
    for atoms, coefficient in right.items():
        found[atoms] = found.get(atoms, 0) + factor * coefficient
    return {atoms: coefficient for atoms, coefficient in found.items() if coefficient}


def _multiplied(left: _Terms, right: _Terms) -> _Terms:
    found: _Terms = {}
    for one, times in left.items():
        for other, more in right.items():
            found = _added(found, {tuple(sorted(one + other, key=c_text)): times * more}, 1)
    return found


def _divided(terms: _Terms, divisor: int) -> _Terms:
    """Rounded down; what the divisor divides comes out of the quotient."""
    if divisor == 1:
        return terms
    rest = {atoms: coefficient % divisor for atoms, coefficient in terms.items() if coefficient % divisor}
    whole = _added(terms, rest, -1)
    found = {atoms: coefficient // divisor for atoms, coefficient in whole.items()}
    if set(rest) <= {()}:
        return found
    return _added(found, {(Operation("/", (_sum_of(rest), Number(divisor))),): 1}, 1)


def _sum_of(terms: _Terms) -> Expression:
    """The terms as an expression: products by name, the number last."""
    result: Expression | None = None
    ordered = sorted(
        terms.items(),
        key=lambda item: (item[1] < 0, not item[0], c_text(product(item[0])) if item[0] else ""),
    )
    for atoms, coefficient in ordered:
        term: Expression = product(atoms)
        size = abs(coefficient)
        if not atoms:
            term = Number(size)
        elif size != 1:
            term = product((Number(size), *atoms))
        if result is None:
            result = term if coefficient > 0 else Operation("-", (Number(0), term))
        else:
            result = Operation("+" if coefficient > 0 else "-", (result, term))
    return result or Number(0)


_RANKS = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}


def _text(expression: Expression, division: str) -> tuple[str, int]:
    """The text and how strongly its outermost operator binds."""
    match expression:
        case Number(number):
            return str(number), 3
        case Size(name):
            return name, 3
        case Operation(sign, (left, right)) if sign in _RANKS:
            rank = _RANKS[sign]
            (before, binds), (after, binds_after) = _text(left, division), _text(right, division)
            before = f"({before})" if binds < rank else before
            after = f"({after})" if binds_after <= rank else after
            return f"{before} {division if sign == '/' else sign} {after}", rank
        case Operation(function, operands):
            return f"{function}({', '.join(_text(operand, division)[0] for operand in operands)})", 3
    raise ValueError(f"{expression} is no extent")
