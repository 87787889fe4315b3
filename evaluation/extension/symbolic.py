"""Arithmetic of host code in the launch grammar: built as trees, folded where all is known, written as text.

The grammar has no comparisons, but it has `min` and `max`: `a < b` is `min(1, max(0, b - a))` between
integers, and a choice between two values is one of them plus their difference times that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from evaluation.answer.expression_parser import MAX_LENGTH
from evaluation.expressions import (
    Dimension,
    Expression,
    ExpressionError,
    Number,
    Numel,
    Operation,
    Scope,
    Size,
    Value,
    evaluate,
)
from evaluation.extension.outcome import not_understood

_MAX_SIZE = 600
"""Names, numbers and operators of one expression."""
_TOO_LONG = "arithmetic that is too long for a launch line"
_NOWHERE = Scope({}, {})
_NEUTRAL = {"+": (0, 0), "-": (None, 0), "*": (1, 1), "/": (None, 1)}
"""What may be left out on either side of an operator."""
_COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])


@dataclass(frozen=True)
class _Sized(Operation):
    """An operation that knows how much there is to write: trees share parts, and texts do not."""

    size: int = field(compare=False)


@dataclass(frozen=True)
class Num:
    """A number of host code."""

    expression: Expression
    is_float: bool = False

    @property
    def constant(self) -> Value | None:
        """Its value, if the text alone tells."""
        return self.expression.value if isinstance(self.expression, Number) else None


def num(value: Value | bool) -> Num:
    """A constant."""
    return Num(Number(int(value) if isinstance(value, bool) else value), isinstance(value, float))


def operation(operator: str, *operands: Expression) -> Expression:
    """An operation, worked out if its operands are constants, and left away if it changes nothing."""
    if all(isinstance(operand, Number) for operand in operands):
        try:
            return Number(evaluate(Operation(operator, operands), _NOWHERE))
        except ExpressionError:
            pass
    if operator in _NEUTRAL and len(operands) == 2:
        for side, neutral in enumerate(_NEUTRAL[operator]):
            found = operands[side]
            if isinstance(found, Number) and type(found.value) is int and found.value == neutral:
                return operands[1 - side]
        if operator == "*" and Number(0) in operands:
            return Number(0)
    if operator in ("min", "max") and all(operand == operands[0] for operand in operands):
        return operands[0]
    size = 1 + sum(operand.size if isinstance(operand, _Sized) else 1 for operand in operands)
    if size > _MAX_SIZE:
        raise not_understood(_TOO_LONG)
    return _Sized(operator, operands, size)


def arithmetic(operator: str, left: Num, right: Num, *, true_division: bool = False) -> Num:
    """`left operator right` as C++ has it, or Python where `/` is always of floats."""
    if operator in _COMPARISONS:
        return compare(operator, left, right)
    if operator == "&&":
        return Num(operation("*", truth(left).expression, truth(right).expression))
    if operator == "||":
        total = operation("+", truth(left).expression, truth(right).expression)
        return Num(operation("min", Number(1), total))
    operator = "/" if operator == "//" else operator
    is_float = left.is_float or right.is_float or true_division
    if not is_float:
        return Num(operation(operator, left.expression, right.expression))
    return Num(operation(operator, as_float(left).expression, as_float(right).expression), True)


def as_float(value: Num) -> Num:
    """A number as a float."""
    return value if value.is_float else Num(operation("float", value.expression), True)


def as_int(value: Num) -> Num:
    """A number cut to an integer."""
    match value:
        case Num(_, False):
            return value
        case Num(Number(constant)) if isfinite(constant):
            return num(int(constant))
        case Num(Operation("float", (whole,))):
            return Num(whole)
    raise not_understood("a fraction that depends on sizes cut to an integer")


def truth(value: Num) -> Num:
    """1 for any number but 0."""
    expression = value.expression
    if isinstance(expression, Number):
        return num(bool(expression.value))
    if is_flag(expression):
        return value
    return num(True) if positive(expression) else compare("!=", value, num(0))


def negated(value: Num) -> Num:
    """1 for 0, and 0 for any other number."""
    return Num(operation("-", Number(1), truth(value).expression))


def compare(operator: str, left: Num, right: Num) -> Num:
    """1 where a comparison holds, else 0; between floats only if both are known."""
    if left.constant is not None and right.constant is not None:
        return num(_holds(operator, left.constant, right.constant))
    if left.is_float or right.is_float:
        raise not_understood(f"a comparison ({operator}) of fractions that depend on sizes")
    one, other = left.expression, right.expression
    if operator in (">", ">="):
        return compare({">": "<", ">=": "<="}[operator], right, left)
    if operator == "!=":
        return negated(compare("==", left, right))
    if one == other:
        return num(operator in ("==", "<="))
    known = _known_by_sign(operator, one, other)
    if known is not None:
        return num(known)
    apart = operation("-", other, one)
    if operator == "<=":
        apart = operation("+", apart, Number(1))
    if operator == "==":
        apart = operation("max", apart, operation("-", one, other))
        return Num(operation("-", Number(1), operation("min", Number(1), apart)))
    return Num(operation("min", Number(1), operation("max", Number(0), apart)))


def select(condition: Num, yes: Num, no: Num) -> Num:
    """`condition ? yes : no`."""
    flag = truth(condition)
    if flag.constant is not None:
        return yes if flag.constant else no
    if yes == no:
        return yes
    is_float = yes.is_float or no.is_float
    one, other = (as_float(yes), as_float(no)) if is_float else (yes, no)
    difference = operation("-", one.expression, other.expression)
    return Num(operation("+", other.expression, operation("*", difference, flag.expression)), is_float)


def total(terms: list[Expression]) -> Expression:
    """The sum of terms, as flat as can be."""
    while len(terms) > 1:
        pairs = [operation("+", *terms[at : at + 2]) for at in range(0, len(terms) - 1, 2)]
        terms = pairs + terms[2 * len(pairs) :]
    return terms[0] if terms else Number(0)


def product(factors: tuple[Expression, ...]) -> Expression:
    """The product of factors."""
    result: Expression = Number(1)
    for factor in factors:
        result = operation("*", result, factor)
    return result


def positive(expression: Expression) -> bool:
    """Whether an expression of sizes is above 0 for certain: no problem has empty tensors."""
    match expression:
        case Number(value):
            return value > 0
        case Dimension() | Numel() | Size():
            return True
        case Operation("+" | "*" | "min" | "max" | "ceil_div", operands):
            return all(positive(operand) for operand in operands)
    return False


def is_flag(expression: Expression) -> bool:
    """Whether an expression is made as a comparison, and so 0 or 1."""
    match expression:
        case Number(0 | 1) | Operation("min", (Number(1), Operation("max", (Number(0), _)))):
            return True
        case Operation("min", (Number(1), Operation("max", _))):
            return True
        case Operation("-", (Number(1), operand)) | Operation("min", (Number(1), operand)):
            return is_flag(operand) or isinstance(operand, Operation)
        case Operation("*", operands):
            return all(is_flag(operand) for operand in operands)
    return False


def text_of(expression: Expression) -> str:
    """The expression as a launch line has it; raises NotTakenError for one that no line can hold."""
    text = _text(expression)
    if len(text) > MAX_LENGTH // 2:
        raise not_understood(_TOO_LONG)
    return text.removeprefix("(").removesuffix(")") if _is_wrapped(text) else text


def _text(expression: Expression) -> str:
    match expression:
        case Number(value):
            if not isfinite(value):
                raise not_understood("an infinite number as an argument of a kernel")
            return f"({value!r})" if value < 0 else repr(value)
        case Size(name):
            return name
        case Numel(tensor):
            return f"numel({tensor})"
        case Dimension(tensor, index):
            return f"size({tensor}, {_text(index)})"
        case Operation(operator, operands) if operator[0].isalpha():
            return f"{operator}({', '.join(text_of(operand) for operand in operands)})"
        case Operation(operator, operands):
            return f"({f' {operator} '.join(_text(operand) for operand in operands)})"


def _is_wrapped(text: str) -> bool:
    """Whether one pair of parentheses holds the whole text, and no lone number."""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and at < len(text) - 1:
            return False
    return text.startswith("(") and not text.startswith("(-")


def _holds(operator: str, left: Value, right: Value) -> bool:
    return {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right,
        ">": left > right, ">=": left >= right,
    }[operator]  # fmt: skip


def _known_by_sign(operator: str, left: Expression, right: Expression) -> bool | None:
    """What is known because sizes are above 0: nothing is equal to 0, or below 1."""
    if isinstance(right, Number) and right.value <= 0 and positive(left):
        return False
    if isinstance(left, Number) and left.value <= 0 and positive(right):
        return operator != "=="
    if operator == "<" and isinstance(right, Number) and right.value <= 1 and positive(left):
        return False
    return True if operator == "<=" and left == Number(1) and positive(right) else None
