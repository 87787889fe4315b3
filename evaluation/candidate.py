"""From a model's response to a `Candidate`: the source of one fenced block, its launches and its scratch.

    ```cuda
    // scratch partial float32[rows]
    // launch row_sum<<<rows, 256, 256 * 4>>>(x, partial, rows, cols)
    extern "C" __global__ void row_sum(const float* x, float* partial, int rows, int cols) { ... }
    ```

`response` finds the block, `launch_lines` the lines, and this module reads them. Parsing never raises,
whatever the text; what it does not check (names, sizes) is left to `evaluation.plan`, and the C++ itself
to the backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from evaluation.answer.expression_parser import C_TYPES, read_expressions
from evaluation.answer.launch_lines import MAX_SOURCE_BYTES, contract_lines, normal, spoken_of
from evaluation.answer.response import kernel_file
from evaluation.expressions import (
    Expression,
    ExpressionError,
    Number,
    Operation,
    Scope,
    Size,
    Value,
    evaluate,
)
from evaluation.problem import DTYPE_BYTES
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status

MAX_LAUNCHES = 16
MAX_SCRATCH = 16
MAX_ARGUMENTS = 64
"""Arguments of one launch."""
MAX_TEMPLATE_ARGUMENTS = 16
MAX_DIMENSIONS = 8
"""Dimensions of one scratch buffer."""
MAX_CONSTANTS = 256
"""Constants of a source that are looked at."""

_CONSTANT = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(?P<macro>[A-Za-z_]\w*)[ \t]+(?P<text>[^\n]+)"
    r"|\bconst(?:expr)?\s+(?:\w+\s+){1,3}?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>[^;\n]+);",
    re.MULTILINE | re.ASCII,
)
_LAUNCH = re.compile(r"(\w{1,64})\s*+(?:<([^<>]*+)>\s*+)?<<<(.*?)>>>\s*+\((.*)\)", re.DOTALL | re.ASCII)
_SCRATCH = re.compile(r"(\w{1,64}+)\s*+:?\s*+(\w{1,64}+)\s*+\[(.*)\]", re.DOTALL | re.ASCII)
_FORMS = {
    "launch": "// launch kernel<<<grid, block, shared_bytes>>>(arguments)",
    "scratch": "// scratch name float32[extent]",
}
_C_DTYPES = {
    "float": "float32", "double": "float64", "half": "float16", "__half": "float16",
    "__nv_bfloat16": "bfloat16", "nv_bfloat16": "bfloat16", "int": "int32", "int32_t": "int32",
    "int64_t": "int64", "int16_t": "int16", "int8_t": "int8", "uint8_t": "uint8",
}  # fmt: skip
_DTYPES = {dtype: dtype for dtype in DTYPE_BYTES} | _C_DTYPES
"""dtypes by their own names and by those of their types in CUDA."""

T = TypeVar("T")


@dataclass(frozen=True)
class Launch:
    """One launch line, its expressions not yet worked out."""

    kernel: str
    grid: tuple[Expression, ...]
    block: tuple[Expression, ...]
    shared: Expression
    arguments: tuple[Expression, ...]
    """A bare name may also be a buffer."""
    template: tuple[str, ...] = ()
    """Arguments of a template kernel in C++: names of types of `C_TYPES`, integers, `true` and `false`."""


@dataclass(frozen=True)
class Scratch:
    """One scratch line: a buffer that the candidate may use as it likes."""

    name: str
    dtype: str
    shape: tuple[Expression, ...]


@dataclass(frozen=True)
class Candidate:
    """A response that parsed."""

    source: str
    launches: tuple[Launch, ...]
    scratch: tuple[Scratch, ...] = ()
    constants: tuple[tuple[str, Value], ...] = ()
    """Constants that the source defines once, by name, which launch lines may use."""


def parse(text: str) -> Candidate | Refusal:
    """Read a response: the one fenced block that is a kernel file, after the thought if there is one."""
    source = kernel_file(text)
    return source if isinstance(source, Refusal) else parse_source(source)


def parse_source(source: str) -> Candidate | Refusal:
    """Read the text of a .cu file, or of a fenced block."""
    problem = _unreadable(source)
    if problem:
        return Refusal(status=Status.UNPARSABLE, reason=problem)
    source = normal(source)
    constants = _constants(source)
    try:
        launches = _lines(source, "launch", MAX_LAUNCHES, lambda text: _launch(text, constants))
        scratch = _lines(source, "scratch", MAX_SCRATCH, _scratch)
    except ExpressionError as error:
        return Refusal(status=Status.UNPARSABLE, reason=str(error))
    if not launches:
        return Refusal(status=Status.UNPARSABLE, reason=_without_launch(source))
    return Candidate(source, launches, scratch, tuple(constants.items()))


def _unreadable(source: str) -> str | None:
    """Why a text cannot be a source file at all, if so."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return "the source is not valid Unicode"
    if size > MAX_SOURCE_BYTES:
        return f"the source has {size} bytes; at most {MAX_SOURCE_BYTES} are allowed"
    return "the source contains a NUL character" if "\0" in source else None


def _without_launch(source: str) -> str:
    """The reason for refusing a source without a launch line."""
    reason = f"there is no launch line; add one such as `{_FORMS['launch']}` in a comment"
    number = spoken_of(source)
    return f"{reason}: the comment at line {number} is not of that form" if number else reason


def _constants(source: str) -> dict[str, Value]:
    """What `#define NAME value` and `const int NAME = value;` say, for names that are defined once."""
    found = list(islice(_CONSTANT.finditer(plain(source)), MAX_CONSTANTS))
    names = [match["macro"] or match["name"] for match in found]
    constants: dict[str, Value] = {"true": 1, "false": 0}
    for name, match in zip(names, found, strict=True):
        with suppress(ExpressionError):
            value = _known(match["text"] or match["value"], constants)
            if names.count(name) == 1:
                constants[name] = value
    return constants


def _known(text: str, constants: dict[str, Value]) -> Value:
    """The value of an expression of constants."""
    (expression,) = _read(text, "expressions", 1, least=1)
    return evaluate(expression, Scope({}, {}, constants))


def _read(text: str, what: str, most: int, least: int = 0) -> tuple[Expression, ...]:
    """Expressions between commas, as many as there may be."""
    expressions = read_expressions(text)
    if not least <= len(expressions) <= most:
        raise ExpressionError(f"there must be {least} to {most} {what}, not {len(expressions)}")
    return expressions


def _lines(source: str, kind: str, limit: int, read: Callable[[str], T]) -> tuple[T, ...]:
    """Read every line of one kind; an error names the line and the right form."""
    found: list[T] = []
    for line in contract_lines(source, kind):
        if len(found) == limit:
            raise ExpressionError(f"there are more than {limit} {kind} lines")
        try:
            found.append(read(line.text))
            line.check_rest()
        except ExpressionError as error:
            reason = f"the {kind} line at line {line.number} does not parse: {error}"
            raise ExpressionError(f"{reason}; the form is `{_FORMS[kind]}`") from None
    return tuple(found)


def _launch(text: str, constants: dict[str, Value]) -> Launch:
    """`name[<template arguments>]<<<grid, block[, shared[, 0]]>>>(arguments)`."""
    parts = _LAUNCH.fullmatch(text)
    if parts is None:
        raise ExpressionError("the chevrons or the parentheses behind them are not closed")
    kernel, template, chevrons, arguments = parts.groups()
    template_arguments = template.split(",") if template else []
    if len(template_arguments) > MAX_TEMPLATE_ARGUMENTS:
        raise ExpressionError(f"there must be at most {MAX_TEMPLATE_ARGUMENTS} template arguments")
    grid, block, *more = _read(chevrons, "expressions between the chevrons", 4, least=2)
    if more[1:] and more[1] not in (Number(0), Size("nullptr"), Size("NULL")):
        raise ExpressionError("kernels run in order on one stream; leave the stream away, or write 0")
    return Launch(
        kernel,
        _extents(grid),
        _extents(block),
        more[0] if more else Number(0),
        _read(arguments, "arguments", MAX_ARGUMENTS),
        tuple(_template_argument(one, constants) for one in template_arguments),
    )


def _template_argument(text: str, constants: dict[str, Value]) -> str:
    """A type, or the value of an integer, as C++ writes it."""
    name = " ".join(text.split()).removeprefix("const ")
    if name in C_TYPES or name in ("true", "false"):
        return name
    value = _known(text, constants)
    if isinstance(value, float):
        raise ExpressionError(f"the template argument {name:.20} is neither a built-in type nor an integer")
    return str(value)


def _extents(expression: Expression) -> tuple[Expression, ...]:
    """A grid or block: one expression, or up to three in `dim3(...)`."""
    match expression:
        case Operation("dim3", operands):
            if len(operands) > 3:
                raise ExpressionError(f"dim3 has 1 to 3 extents, not {len(operands)}")
            return operands
    return (expression,)


def _scratch(text: str) -> Scratch:
    """`name dtype[extent, ...]`, or `type name[extent, ...]` as in C++."""
    parts = _SCRATCH.fullmatch(text)
    if parts is None:
        raise ExpressionError("it needs a name, a dtype and the extents in brackets")
    name, dtype, shape = parts.groups()
    if dtype not in _DTYPES and name in _DTYPES:
        name, dtype = dtype, name
    if dtype not in _DTYPES:
        raise ExpressionError(f"unknown dtype {dtype:.40}; the dtypes are {', '.join(DTYPE_BYTES)}")
    return Scratch(name, _DTYPES[dtype], _read(shape, "extents", MAX_DIMENSIONS, least=1))
