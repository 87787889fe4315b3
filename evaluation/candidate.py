"""From a model's response to a `Candidate`: the source of one fenced block, its launches and its scratch.

    ```cuda
    // scratch partial float32[rows]
    // launch row_sum<<<rows, 256, 256 * 4>>>(x, partial, rows, cols)
    extern "C" __global__ void row_sum(const float* x, float* partial, int rows, int cols) { ... }
    ```

`response` finds the block, `launch_lines` the lines, and this module reads them. Parsing never raises,
whatever the text; what it does not check (names, sizes) is left to `evaluation.planning`, and the C++ itself
to the backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from evaluation.expression_parser import Parser
from evaluation.expressions import (
    Expression,
    ExpressionError,
    Number,
    Scope,
    Value,
    evaluate,
    evaluate_integer,
)
from evaluation.launch_lines import MAX_SOURCE_BYTES, ContractLine, contract_lines, normal, spoken_of
from evaluation.problem import DTYPE_BYTES
from evaluation.response import kernel_file
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status

MAX_LAUNCHES = 16
MAX_SCRATCH = 16
MAX_ARGUMENTS = 64
"""Arguments of one launch."""
MAX_DIMENSIONS = 8
"""Dimensions of one scratch buffer."""
MAX_NAME_LENGTH = 64
MAX_CONSTANTS = 256
"""Constants of a source that are looked at."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_EXTERN_C = re.compile(r'extern\s*"C"')
_EXTERN_C_BLOCK = re.compile(r'extern\s*"C"\s*\{')
_CONSTANT = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(?P<macro>[A-Za-z_]\w*)[ \t]+(?P<text>[^\n]+)"
    r"|\bconst(?:expr)?\s+(?:\w+\s+){1,3}?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>[^;\n]+);",
    re.MULTILINE | re.ASCII,
)
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

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels launched, each once, in order of first launch."""
        return tuple(dict.fromkeys(launch.kernel for launch in self.launches))


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
        lines = contract_lines(source)
        launches = _read(lines["launch"], MAX_LAUNCHES, lambda parser: _parse_launch(parser, constants))
        scratch = _read(lines["scratch"], MAX_SCRATCH, _parse_scratch)
    except ExpressionError as error:
        return Refusal(status=Status.UNPARSABLE, reason=str(error))
    if not launches:
        return Refusal(status=Status.UNPARSABLE, reason=_without_launch(source))
    candidate = Candidate(source, launches, scratch, tuple(constants.items()))
    return _undefined_kernel(candidate) or candidate


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
    constants: dict[str, Value] = {}
    for name, match in zip(names, found, strict=True):
        with suppress(ExpressionError):
            parser = Parser(match["text"] or match["value"])
            value = evaluate(parser.expression(), Scope({}, {}, constants))
            parser.end()
            if names.count(name) == 1:
                constants[name] = value
    return constants


def _read(lines: Sequence[ContractLine], limit: int, read: Callable[[Parser], T]) -> tuple[T, ...]:
    """Read every line of one kind; an error names the line and the right form."""
    found: list[T] = []
    for line in lines:
        if len(found) == limit:
            raise ExpressionError(f"there are more than {limit} {line.kind} lines")
        try:
            parser = Parser(line.text)
            found.append(read(parser))
            parser.end()
            line.check_rest()
        except ExpressionError as error:
            raise ExpressionError(
                f"the {line.kind} line at line {line.number} does not parse: {error}; the form is "
                f"`{_FORMS[line.kind]}`"
            ) from None
    return tuple(found)


def _parse_launch(parser: Parser, constants: dict[str, Value]) -> Launch:
    """`name[<template arguments>]<<<grid, block[, shared[, 0]]>>>(arguments)`."""
    kernel = _name(parser, "a kernel name")
    template = tuple(_template_arguments(parser, constants)) if parser.accept("<") else ()
    parser.expect("<<<")
    grid = _extent(parser)
    parser.expect(",")
    block = _extent(parser)
    shared: Expression = parser.expression() if parser.accept(",") else Number(0)
    if parser.accept(",") and not any(parser.accept(none) for none in ("0", "nullptr", "NULL")):
        raise ExpressionError("kernels run in order on one stream; leave the stream away, or write 0")
    parser.expect(">>>")
    parser.expect("(")
    arguments = (
        () if parser.accept(")") else _list(parser, Parser.expression, MAX_ARGUMENTS, "arguments", ")")
    )
    return Launch(kernel, grid, block, shared, arguments, template)


def _template_arguments(parser: Parser, constants: dict[str, Value]) -> Iterator[str]:
    """Types and constants up to the closing bracket, as C++ text."""
    while True:
        if parser.at_type():
            yield parser.type()
        elif parser.next.text in ("true", "false"):
            yield parser.take().text
        else:
            yield str(evaluate_integer(parser.expression(), Scope({}, {}, constants)))
        if not parser.accept(","):
            break
    parser.expect(">")


def _parse_scratch(parser: Parser) -> Scratch:
    """`name dtype[extent, ...]`, or `type name[extent, ...]` as in C++."""
    words = [_name(parser, "a buffer name")]
    parser.accept(":")
    words.append(parser.name("a dtype"))
    if words[1] not in _DTYPES and words[0] in _DTYPES:
        words.reverse()
    name, dtype = words
    if dtype not in _DTYPES:
        raise ExpressionError(f"unknown dtype {dtype!r:.40}; the dtypes are {', '.join(DTYPE_BYTES)}")
    parser.expect("[")
    shape = _list(parser, Parser.expression, MAX_DIMENSIONS, "dimensions", "]")
    return Scratch(name, _DTYPES[dtype], shape)


def _name(parser: Parser, what: str) -> str:
    name = parser.name(what)
    if len(name) > MAX_NAME_LENGTH:
        raise ExpressionError(f"the name {name[:20]}... is longer than {MAX_NAME_LENGTH} characters")
    return name


def _extent(parser: Parser) -> tuple[Expression, ...]:
    """A grid or block: one expression, or up to three in `dim3(...)` or braces."""
    for opening, closing in ((("dim3", "("), ")"), (("dim3", "{"), "}"), (("{",), "}")):
        if parser.accept(*opening):
            return _list(parser, Parser.expression, 3, "extents in dim3", closing)
    return (parser.expression(),)


def _list(parser: Parser, read: Callable[[Parser], T], limit: int, what: str, closing: str) -> tuple[T, ...]:
    """One or more items between commas, with the closing symbol."""
    items = [read(parser)]
    while parser.accept(","):
        items.append(read(parser))
        if len(items) > limit:
            raise ExpressionError(f"more than {limit} {what}")
    parser.expect(closing)
    return tuple(items)


def _undefined_kernel(candidate: Candidate) -> Refusal | None:
    """Refuse a launch of a kernel that the source does not define as `extern "C" __global__`."""
    code = _COMMENT.sub(" ", candidate.source)
    pieces = [piece for piece in re.split(r"[;{}]", code) if "__global__" in piece]
    in_block = _EXTERN_C_BLOCK.search(code) is not None
    for kernel in candidate.kernels:
        heads = [piece for piece in pieces if re.search(rf"\b{kernel}\s*\(", piece)]
        if not any(in_block or _EXTERN_C.search(head) for head in heads):
            return Refusal(
                status=Status.REJECTED,
                reason=f'the kernel {kernel} is launched but not defined as extern "C" __global__',
            )
    return None
