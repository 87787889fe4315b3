"""The closed arithmetic grammar of launch and scratch lines: parsed into a tree, never `eval`ed.

    expression  = product (("+" | "-") product)*
    product     = unary (("*" | "/" | "%") unary)*
    unary       = "-" unary | atom
    atom        = INTEGER | NAME | "(" expression ")"
                | ("min" | "max") "(" expression ("," expression)* ")"
                | "ceil_div" "(" expression "," expression ")"
                | "numel" "(" TENSOR ")" | "size" "(" TENSOR "," expression ")"

Every value is an integer that fits 64 bits. `/` rounds down, `%` goes with it, and dividing by zero is an
error, as in Python. Depth and length are bounded, so no text can exhaust the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 32
"""Levels of nesting in one expression."""
MAX_TOKENS = 512
"""Tokens in one line."""
MAX_VALUE = 2**63 - 1
"""Largest magnitude of any intermediate value."""

_TOKEN = re.compile(
    r"\s*(?:(?P<float>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?|\d+[eE][+-]?\d+[fF]?)"
    r"|(?P<integer>\d+)|(?P<name>[A-Za-z_]\w*)|(?P<symbol><<<|>>>|[-+*/%(),\[\];]))",
    re.ASCII,
)


class ExpressionError(ValueError):
    """The text is outside the grammar, or its value does not exist at the given sizes.

    It becomes a candidate's `Refusal`; it never reaches a person as an exception.
    """


class UnknownNameError(ExpressionError):
    """The expression names something that the problem does not have, or a tensor where a number belongs."""


@dataclass(frozen=True)
class Number:
    """An integer literal."""

    value: int


@dataclass(frozen=True)
class Size:
    """A named size of the problem."""

    name: str


@dataclass(frozen=True)
class Operation:
    """A binary operator, or a call of `min`, `max` or `ceil_div`, on number operands."""

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


@dataclass(frozen=True)
class Token:
    """One word of a line; `kind` is float, integer, name, symbol or end."""

    kind: str
    text: str


def tokenize(text: str) -> list[Token]:
    """Cut a line into tokens; raises ExpressionError at the first character that fits none."""
    tokens: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"unexpected character {text[position:].lstrip()[0]!r}")
        if len(tokens) == MAX_TOKENS:
            raise ExpressionError(f"more than {MAX_TOKENS} tokens in one line")
        tokens.append(Token(str(match.lastgroup), match.group().lstrip()))
        position = match.end()
    return tokens


class Parser:
    """Reads expressions, and the punctuation around them, from one line."""

    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._position = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        """The token that comes next (kind `end` after the last)."""
        return self.ahead(0)

    def ahead(self, distance: int) -> Token:
        """The token `distance` places after the next one."""
        index = self._position + distance
        return self._tokens[index] if index < len(self._tokens) else Token("end", "the end of the line")

    def take(self) -> Token:
        """Consume and return the next token."""
        token = self.next
        self._position += 1
        return token

    def accept(self, text: str) -> bool:
        """Consume the next token if it reads `text`."""
        if self.next.kind != "symbol" or self.next.text != text:
            return False
        self._position += 1
        return True

    def expect(self, text: str) -> None:
        """Consume the symbol `text` or raise."""
        if not self.accept(text):
            raise ExpressionError(f"expected {text!r} but found {self.next.text!r}")

    def name(self, what: str) -> str:
        """Consume a name; `what` says in the error what it should have named."""
        if self.next.kind != "name":
            raise ExpressionError(f"expected {what} but found {self.next.text!r}")
        return self.take().text

    def end(self) -> None:
        """Raise unless the whole line has been read."""
        if self.next.kind != "end":
            raise ExpressionError(f"unexpected {self.next.text!r}")

    def expression(self) -> Expression:
        """Read a sum of products."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep")
        value = self._chain(("+", "-"), lambda: self._chain(("*", "/", "%"), self._unary))
        self._depth -= 1
        return value

    def _chain(self, operators: Sequence[str], operand: Callable[[], Expression]) -> Expression:
        """Read left-associative operators of one precedence."""
        value, length = operand(), 0
        while self.next.kind == "symbol" and self.next.text in operators:
            length += 1
            if length > MAX_DEPTH:
                raise ExpressionError(f"more than {MAX_DEPTH} operators in a row")
            value = Operation(self.take().text, (value, operand()))
        return value

    def _unary(self) -> Expression:
        negative = self.accept("-")
        if negative and self.accept("-"):
            raise ExpressionError("two minus signs in a row")
        value = self._atom()
        return Operation("-", (Number(0), value)) if negative else value

    def _atom(self) -> Expression:
        token = self.take()
        match token.kind:
            case "integer":
                return Number(_integer(token.text))
            case "name" if self.accept("("):
                return self._call(token.text)
            case "name":
                return Size(token.text)
            case "symbol" if token.text == "(":
                value = self.expression()
                self.expect(")")
                return value
            case "float":
                raise ExpressionError(
                    f"{token.text} is not an integer; float literals are whole arguments only"
                )
        raise ExpressionError(f"expected a number or a name but found {token.text!r}")

    def _call(self, function: str) -> Expression:
        """Read the arguments of a function whose name and opening parenthesis are behind us."""
        if function in ("numel", "size"):
            tensor = self.name(f"a tensor in {function}()")
            if function == "numel":
                self.expect(")")
                return Numel(tensor)
            self.expect(",")
            index = self.expression()
            self.expect(")")
            return Dimension(tensor, index)
        if function not in ("min", "max", "ceil_div"):
            raise ExpressionError(
                f"unknown function {function!r}; there are min, max, ceil_div, numel and size"
            )
        operands = [self.expression()]
        while self.accept(","):
            operands.append(self.expression())
        self.expect(")")
        if function == "ceil_div" and len(operands) != 2:
            raise ExpressionError("ceil_div takes two arguments")
        return Operation(function, tuple(operands))


def evaluate(expression: Expression, scope: Scope) -> int:
    """Work an expression out at one choice of sizes.

    Raises ExpressionError for a zero divisor, a dimension that does not exist or a value over 64 bits, and
    UnknownNameError for a name that `scope` does not have.
    """
    match expression:
        case Number(value):
            return value
        case Size(name):
            return _size(name, scope)
        case Numel(tensor):
            return _bounded(_product(_shape(tensor, scope)))
        case Dimension(tensor, index):
            return _extent(tensor, evaluate(index, scope), scope)
        case Operation(operator, operands):
            return _bounded(_apply(operator, [evaluate(operand, scope) for operand in operands]))


def _apply(operator: str, values: list[int]) -> int:
    match operator:
        case "min":
            return min(values)
        case "max":
            return max(values)
    left, right = values
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if right == 0:
        raise ExpressionError(f"division by zero ({left} {operator} 0)")
    match operator:
        case "/":
            return left // right
        case "%":
            return left % right
        case _:
            return -(-left // right)


def _size(name: str, scope: Scope) -> int:
    if name in scope.sizes:
        return scope.sizes[name]
    if name in scope.shapes:
        raise UnknownNameError(
            f"{name} is a tensor where a number belongs; use numel({name}) or size({name}, i)"
        )
    sizes = ", ".join(scope.sizes) or "none"
    raise UnknownNameError(f"unknown name {name!r}; the named sizes are: {sizes}")


def _shape(tensor: str, scope: Scope) -> tuple[int, ...]:
    if tensor not in scope.shapes:
        raise UnknownNameError(f"unknown tensor {tensor!r}; the tensors are: {', '.join(scope.shapes)}")
    return scope.shapes[tensor]


def _extent(tensor: str, index: int, scope: Scope) -> int:
    shape = _shape(tensor, scope)
    if not -len(shape) <= index < len(shape):
        raise ExpressionError(f"size({tensor}, {index}) does not exist: {tensor} has {len(shape)} dimensions")
    return shape[index]


def _product(extents: Sequence[int]) -> int:
    result = 1
    for extent in extents:
        result *= extent
    return result


def _bounded(value: int) -> int:
    if abs(value) > MAX_VALUE:
        raise ExpressionError("a value does not fit 64 bits")
    return value


def _integer(digits: str) -> int:
    if len(digits) > len(str(MAX_VALUE)):
        raise ExpressionError(f"the number {digits[:20]}... does not fit 64 bits")
    return _bounded(int(digits))
