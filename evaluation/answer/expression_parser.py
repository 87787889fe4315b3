"""Reads the arithmetic of launch and scratch lines into a tree: parsed, never `eval`ed.

There are integers, floats, names, + - * / % << >> & | ^ ~ and parentheses, by the precedence that C++ and
Python share; min, max, ceil_div, sqrt and rsqrt; numel(t) and size(t, i), also as x.numel(), x.size(0) or
x.shape[0]; sizeof(type), casts, and dim3(a, b, c). So a text is brought to Python's notation, its syntax tree
is taken, and every node that is not of this list is refused. Length and depth are bounded.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from evaluation.expressions import Dimension, Expression, ExpressionError, Number, Numel, Operation, Size

MAX_LENGTH = 4096
"""Characters of one list of expressions."""
MAX_DEPTH = 32
"""Levels of nesting in one expression."""
MAX_NAME_LENGTH = 64

C_TYPES: dict[str, int] = {
    name: size
    for size, names in (
        (1, "bool,char,signed char,unsigned char,int8_t,uint8_t"),
        (2, "short,unsigned short,int16_t,uint16_t,half,__half,nv_bfloat16,__nv_bfloat16"),
        (4, "int,unsigned,unsigned int,int32_t,uint32_t,float,half2,__half2,__nv_bfloat162"),
        (8, "long,unsigned long,long long,unsigned long long,int64_t,uint64_t,size_t,double,float2,int2"),
        (16, "float4,int4,uint4,double2"),
    )
    for name in names.split(",")
}
"""Bytes of the types that `sizeof` and template arguments may name."""
_CASTS = {name: "int" for name in C_TYPES if re.fullmatch(r".*(int|long|short|unsigned|_t)", name)}
_CASTS |= {"float": "float", "double": "float"}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.LShift: "<<", ast.RShift: ">>",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[str, int | None]] = {
    "min": ("min", None), "max": ("max", None), "dim3": ("dim3", None),
    **dict.fromkeys(("sqrt", "sqrtf"), ("sqrt", 1)), **dict.fromkeys(("rsqrt", "rsqrtf"), ("rsqrt", 1)),
    **dict.fromkeys(("ceildiv", "cdiv", "divup", "idivup", "divceil"), ("ceil_div", 2)),
    **{name.replace("_", ""): (cast, 1) for name, cast in _CASTS.items()},
}  # fmt: skip
"""Operator and number of arguments of functions, by their names in lower case without underscores."""
_ARITHMETIC = (
    "there are + - * / % << >> & | ^ ~, min, max, ceil_div(a, b), numel(tensor), size(tensor, axis), "
    "sizeof(type) and casts; a tensor is passed by its name alone"
)

_TYPE = rf"(?:const\s++)?+(?P<type>{'|'.join(sorted(C_TYPES, key=len, reverse=True))})\b"
_FLOAT = re.compile(r"((?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fF]?", re.ASCII)
_INTEGER = re.compile(
    r"(0x[\da-f]+(?:'[\da-f]+)*|0|[1-9]\d*(?:'\d+)*)(?:ul{0,2}|l{1,2}u?)?", re.ASCII | re.IGNORECASE
)


def _number(found: re.Match[str]) -> str:
    """A literal of C++ as Python writes it."""
    text = found.group()
    if literal := _FLOAT.fullmatch(text):
        return literal[1]
    if literal := _INTEGER.fullmatch(text):
        return literal[1].replace("'", "")
    raise ExpressionError(f"{text:.40} is no decimal or hexadecimal number of C++")


_SPELLINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern.replace(" ", r"\s*+"), re.ASCII), meaning)
    for pattern, meaning in (
        (r"(?<![\w.])(?:\d|\.\d)[\w.']*+(?:(?<=[eE])[+-][\w.']++)?+", _number),
        (r"\bstd :: ", ""),
        (rf"\bsizeof \( {_TYPE} \)", lambda found: str(C_TYPES[found["type"]])),
        (r"\b(?:static|reinterpret)_cast <([^<>]*+)>", r"(\1)"),
        (
            r"\( [A-Za-z_][\w\s:]*+\*[\s*]*+(?:const|__restrict__)? \) (?=[\w(])",
            " ",
        ),  # a pointer is a tensor's name
        # `**` is not in the grammar, and the only operator of Python that binds as a cast does
        (
            rf"\( {_TYPE} \)",
            lambda found: f" {_CASTS[found['type']]}** " if found["type"] in _CASTS else found.group(),
        ),
        (r"\. data(?:_ptr)? (?:<[^<>]*+>)? \( \)", ""),
        (r"\. sizes \( \) \[", ".shape["),
        (r"(?:\bdim3 )?\{([^{}]*+)\}", r"dim3(\1)"),
    )
)
"""What C++ writes otherwise than Python."""


def read_expressions(text: str) -> tuple[Expression, ...]:
    """The expressions between commas; raises ExpressionError for a text that is not a list of them."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"more than {MAX_LENGTH} characters between two brackets")
    for pattern, meaning in _SPELLINGS:
        text = pattern.sub(meaning, text)
    if stranger := re.search(r"[^\w\s+\-*/%<>&|^~(),.\[\]]", text, re.ASCII):
        raise ExpressionError(f"unexpected {stranger.group()!r}; {_ARITHMETIC}")
    try:
        call: ast.AST | None = ast.parse(f"_({text})", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        call = None
    match call:
        case ast.Call(func=ast.Name(), args=arguments, keywords=[]):
            return tuple(_read(argument, MAX_DEPTH) for argument in arguments)
    raise ExpressionError(f"{text.strip()!r:.60} is not a list of expressions; {_ARITHMETIC}")


def _read(node: ast.expr, depth: int) -> Expression:
    if depth == 0:
        raise ExpressionError(f"nested more than {MAX_DEPTH} deep")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return Number(value)
        case ast.Name(id=name) if len(name) <= MAX_NAME_LENGTH:
            return Size(name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return Number(-value)
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.UnaryOp):
            return Operation("-", (Number(0), _read(operand, depth - 1)))
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return Operation("^", (_read(operand, depth - 1), Number(-1)))
        case ast.BinOp(left=ast.Name(id="int" | "float" as cast), op=ast.Pow(), right=operand):
            return Operation(cast, (_read(operand, depth - 1),))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return Operation(_OPERATORS[type(op)], (_read(left, depth - 1), _read(right, depth - 1)))
        case ast.Call(func=ast.Name(id="numel"), args=[ast.Name(id=tensor)], keywords=[]):
            return Numel(tensor)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=tensor), attr="numel"), args=[], keywords=[]):
            return Numel(tensor)
        case ast.Call(func=ast.Name(id="size"), args=[ast.Name(id=tensor), index], keywords=[]):
            return Dimension(tensor, _read(index, depth - 1))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=tensor), attr="size"), args=[index], keywords=[]):
            return Dimension(tensor, _read(index, depth - 1))
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=tensor), attr="shape"), slice=index):
            return Dimension(tensor, _read(index, depth - 1))
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as operands, keywords=[]):
            operator, wanted = _FUNCTIONS.get(name.lower().replace("_", ""), ("", None))
            if operator and wanted in (None, len(operands)):
                return Operation(operator, tuple(_read(operand, depth - 1) for operand in operands))
            raise ExpressionError(f"{name:.40}() of {len(operands)} is unknown; {_ARITHMETIC}")
        case ast.Attribute(attr=name) | ast.Call(func=ast.Attribute(attr=name)):
            raise ExpressionError(f".{name:.40} is unknown; {_ARITHMETIC}")
    raise ExpressionError(f"{type(node).__name__} is not understood; {_ARITHMETIC}")
