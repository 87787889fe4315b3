"""The grammar of launch and scratch lines: C++'s where its meaning is plain, and PyTorch's names for sizes.

    expression  = operands between | ^ & << >> + - * / %, by C++'s precedence
    operand     = ("-" | "~" | "(" TYPE ")") operand | atom
    atom        = LITERAL | NAME | "(" expression ")" | "sizeof" "(" TYPE ")"
                | FUNCTION "(" expression ("," expression)* ")" | TYPE "(" expression ")"
                | ("static_cast" | "reinterpret_cast") "<" TYPE ">" "(" expression ")"
                | "numel" "(" TENSOR ")" | "size" "(" TENSOR "," expression ")"
                | TENSOR ".numel()" | TENSOR ".size(" expression ")" | TENSOR ".shape[" expression "]"
                | TENSOR ".data_ptr()"

FUNCTION is min, max, sqrt, rsqrt, ceil_div, or one of the usual names of the last. A cast to a pointer stands
for the tensor that it casts. Depth, operations and tokens are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from evaluation.expressions import (
    MAX_VALUE,
    Dimension,
    Expression,
    ExpressionError,
    Number,
    Numel,
    Operation,
    Size,
)

MAX_DEPTH = 32
"""Levels of nesting in one expression."""
MAX_OPERATIONS = 64
"""Operators and calls in one expression."""
MAX_TOKENS = 512
"""Tokens in one line."""

_TOKEN = re.compile(
    r"\s*(?:(?P<float>(?:(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fF]?)(?![\w.'])"
    r"|(?P<integer>0[xX][\da-fA-F]+(?:'[\da-fA-F]+)*|\d+(?:'\d+)*)(?:[uU](?:ll?|LL?)?|(?:ll?|LL?)[uU]?)?(?![\w.'])"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<symbol><<<|>>>|<<|>>|::|[-+*/%&|^~<>(),.\[\]{};:]))",
    re.ASCII,
)
_UNKNOWN = re.compile(r"\s*([\w.']+|.)", re.DOTALL)

C_TYPES: dict[str, int] = {
    name: size
    for size, names in (
        (1, "bool, char, signed char, unsigned char, int8_t, uint8_t"),
        (2, "short, unsigned short, int16_t, uint16_t, half, __half, nv_bfloat16, __nv_bfloat16"),
        (4, "int, unsigned, unsigned int, int32_t, uint32_t, float, half2, __half2, __nv_bfloat162"),
        (8, "long, unsigned long, long long, unsigned long long, int64_t, uint64_t, size_t, double"),
        (8, "float2, int2, uint2"),
        (12, "float3, int3, uint3"),
        (16, "float4, int4, uint4, double2"),
    )
    for name in names.split(", ")
}
"""Bytes of the types that `sizeof`, casts and template arguments may name."""
_TYPE_WORDS = {word for name in C_TYPES for word in name.split()}
_QUALIFIERS = ("const", "volatile")
_VECTORS_AND_HALVES = re.compile(r".*(?:half|bfloat|\d$)")
_OPERANDS = ("integer", "float", "name")
_LEVELS = (("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "%"))
"""Binary operators, those that bind least first."""
_FUNCTIONS = {
    "min": "min", "max": "max", "sqrt": "sqrt", "sqrtf": "sqrt", "rsqrt": "rsqrt", "rsqrtf": "rsqrt",
    **dict.fromkeys(("ceildiv", "cdiv", "divup", "idivup", "divceil"), "ceil_div"),
}  # fmt: skip
"""What functions mean, by their names in lower case without underscores."""
ARITHMETIC = (
    "there are + - * / % << >> & | ^ ~, min, max, ceil_div(a, b), numel(tensor), size(tensor, axis), "
    "sizeof(type) and casts"
)


@dataclass(frozen=True)
class Token:
    """One word of a line; `kind` is float, integer, name, symbol or end."""

    kind: str
    text: str


_END = Token("end", "the end of the line")


def tokenize(text: str) -> list[Token]:
    """Cut a line into tokens; raises ExpressionError at the first character that fits none."""
    tokens: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            found = _UNKNOWN.match(text, position)
            raise ExpressionError(f"unexpected {found[1] if found else ''!r:.40}; {ARITHMETIC}")
        if len(tokens) == MAX_TOKENS:
            raise ExpressionError(f"more than {MAX_TOKENS} tokens in one line")
        kind = str(match.lastgroup)
        tokens.append(Token(kind, match[kind]))
        position = match.end()
    return tokens


class Parser:
    """Reads expressions, and the punctuation around them, from one line."""

    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._position = 0
        self._depth = 0
        self._operations = 0

    @property
    def next(self) -> Token:
        """The token that comes next (kind `end` after the last)."""
        return self.ahead(0)

    def ahead(self, distance: int) -> Token:
        """The token `distance` places after the next one."""
        index = self._position + distance
        return self._tokens[index] if index < len(self._tokens) else _END

    def take(self) -> Token:
        """Consume and return the next token."""
        token = self.next
        self._position += 1
        return token

    def accept(self, *texts: str) -> bool:
        """Consume the next tokens if they read `texts`."""
        if any(self.ahead(place).text != text for place, text in enumerate(texts)):
            return False
        self._position += len(texts)
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

    def type(self) -> str:
        """Consume the name of a type of C_TYPES, without qualifiers."""
        words: list[str] = []
        self.accept("std", "::")
        while self.next.text in _TYPE_WORDS or self.next.text in _QUALIFIERS:
            words.append(self.take().text)
        name = " ".join(word for word in words if word not in _QUALIFIERS)
        if name not in C_TYPES:
            raise ExpressionError(f"expected a built-in type but found {name or self.next.text!r}")
        return name

    def at_type(self) -> bool:
        """Whether a type comes next."""
        return self.next.text in _TYPE_WORDS or self.next.text in _QUALIFIERS

    def expression(self) -> Expression:
        """Read an expression."""
        if self._depth == 0:
            self._operations = 0
        return self._binary(0)

    def _binary(self, level: int) -> Expression:
        """Read left-associative operators of one precedence."""
        if level == len(_LEVELS):
            return self._operand()
        value = self._binary(level + 1)
        while self.next.text in _LEVELS[level]:
            operator = self.take().text
            value = self._operation(operator, value, self._binary(level + 1))
        return value

    def _operation(self, operator: str, *operands: Expression) -> Expression:
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            raise ExpressionError(f"more than {MAX_OPERATIONS} operators in one expression")
        return Operation(operator, operands)

    def _operand(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep")
        if self.accept("-"):
            value = self._negative()
        elif self.accept("~"):
            value = self._operation("^", self._operand(), Number(-1))
        elif cast := self._cast_ahead():
            value = self._cast(cast, self._operand())
        else:
            value = self._atom()
        self._depth -= 1
        return value

    def _negative(self) -> Expression:
        if self.next.text == "-":
            raise ExpressionError("two minus signs in a row")
        value = self._operand()
        return Number(-value.value) if isinstance(value, Number) else self._operation("-", Number(0), value)

    def _cast_ahead(self) -> str | None:
        """Consume `(TYPE)` or `(TYPE*)` if that is what comes next."""
        begin = self._position
        if self.accept("(") and self.at_type():
            cast = self._cast_type()
            if self.accept(")") and (self.next.kind in _OPERANDS or self.next.text in ("(", "-", "~")):
                return cast
        self._position = begin
        return None

    def _cast_type(self) -> str:
        """Consume the type of a cast; pointers to whatever type are `*`."""
        name = self.type()
        pointer = False
        while self.next.text in ("*", "__restrict__", *_QUALIFIERS):
            pointer |= self.take().text == "*"
        return "*" if pointer else name

    def _cast(self, cast: str, value: Expression) -> Expression:
        if cast == "*":
            if not isinstance(value, Size):
                raise ExpressionError("only the name of a tensor or scratch buffer is cast to a pointer")
            return value
        if _VECTORS_AND_HALVES.fullmatch(cast):
            raise ExpressionError(
                f"a number is not cast to {cast}; there are casts to integers, float and double"
            )
        return self._operation("float" if cast in ("float", "double") else "int", value)

    def _atom(self) -> Expression:
        if self.at_type() and self.ahead(1).text == "(":
            return self._cast(self._cast_type(), self._in_parentheses())
        self.accept("std", "::")
        token = self.take()
        match token.kind:
            case "integer":
                return Number(_integer(token.text))
            case "float":
                return Number(_float(token.text))
            case "name":
                return self._named(token.text)
            case "symbol" if token.text == "(":
                self._position -= 1
                return self._in_parentheses()
            case "symbol" if token.text in ("&", "*"):
                raise ExpressionError(f"unexpected {token.text!r}; a tensor is passed by its name alone")
        raise ExpressionError(f"expected a number or a name but found {token.text!r}")

    def _in_parentheses(self) -> Expression:
        self.expect("(")
        value = self.expression()
        self.expect(")")
        return value

    def _named(self, name: str) -> Expression:
        """Read what a name begins: a call, a member of a tensor, a literal, or the name alone."""
        if name in ("static_cast", "reinterpret_cast"):
            self.expect("<")
            cast = self._cast_type()
            self.expect(">")
            return self._cast(cast, self._in_parentheses())
        if name == "sizeof" and self.accept("("):
            size = C_TYPES[self.type()]
            self.expect(")")
            return Number(size)
        if name in ("true", "false"):
            return Number(int(name == "true"))
        if name in ("nullptr", "NULL"):
            raise ExpressionError(
                f"{name} is no argument; a pointer is the name of a tensor or scratch buffer"
            )
        if self.accept("."):
            return self._member(name)
        return self._call(name) if self.accept("(") else Size(name)

    def _member(self, tensor: str) -> Expression:
        """Read a member of a tensor in PyTorch's terms."""
        member = self.name("numel(), size(axis) or shape[axis]")
        closing = ")"
        if member in ("data_ptr", "data"):
            if self.accept("<"):
                self.type()
                self.expect(">")
            self.expect("(")
            self.expect(")")
            return Size(tensor)
        if member == "numel" and self.accept("(", ")"):
            return Numel(tensor)
        if self.accept("[") if member == "shape" else member == "sizes" and self.accept("(", ")", "["):
            closing = "]"
        elif member != "size" or not self.accept("("):
            raise ExpressionError(
                f"{tensor}.{member} is unknown; write {tensor}.numel() or {tensor}.size(axis)"
            )
        index = self.expression()
        self.expect(closing)
        return Dimension(tensor, index)

    def _call(self, name: str) -> Expression:
        """Read the arguments of a function whose name and opening parenthesis are behind us."""
        if name == "numel":
            tensor = self.name("a tensor in numel()")
            self.expect(")")
            return Numel(tensor)
        if name == "size":
            tensor = self.name("a tensor in size()")
            self.expect(",")
            index = self.expression()
            self.expect(")")
            return Dimension(tensor, index)
        function = _FUNCTIONS.get(name.lower().replace("_", ""))
        if function is None:
            raise ExpressionError(f"unknown function {name!r}; {ARITHMETIC}")
        operands = [self.expression()]
        while self.accept(","):
            operands.append(self.expression())
        self.expect(")")
        wanted = {"ceil_div": 2, "sqrt": 1, "rsqrt": 1}.get(function, len(operands))
        if len(operands) != wanted:
            raise ExpressionError(f"{name} takes {wanted} argument{'s' * (wanted > 1)}")
        return self._operation(function, *operands)


def _float(text: str) -> float:
    value = float(text.rstrip("fF"))
    if not isfinite(value):
        raise ExpressionError(f"the literal {text:.20} is too large")
    return value


def _integer(text: str) -> int:
    """The value of an integer literal without its suffix."""
    digits = text.replace("'", "")
    if len(digits) > len(str(MAX_VALUE)):
        raise ExpressionError(f"the number {digits[:20]}... does not fit 64 bits")
    if digits[0] == "0" and digits.isdecimal() and len(digits) > 1:
        raise ExpressionError(f"{digits[:20]} is octal in C++; write it without a leading zero")
    value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    if value > MAX_VALUE:
        raise ExpressionError(f"the number {digits[:20]} does not fit 64 bits")
    return value
