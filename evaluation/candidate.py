"""From a model's response to a `Candidate`: the source of one fenced block, its launches and its scratch.

    ```cuda
    // scratch partial float32[rows]
    // launch row_sum<<<rows, 256, 256 * 4>>>(x, partial, rows, cols)
    extern "C" __global__ void row_sum(const float* x, float* partial, int rows, int cols) { ... }
    ```

A comment line with `launch` and `<<<` is a launch, one with `scratch` and `[` is a scratch buffer; other
comments are comments. Parsing never raises, whatever the text; what it does not check (names, sizes) is left
to `evaluation.planning`, and the C++ itself to the backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from evaluation.expressions import Expression, ExpressionError, Number, Parser
from evaluation.problem import DTYPE_BYTES
from evaluation.verdict import Refusal, Status

MAX_SOURCE_BYTES = 65536
"""Longest source that is looked at."""
MAX_LAUNCHES = 16
MAX_SCRATCH = 16
MAX_ARGUMENTS = 64
"""Arguments of one launch."""
MAX_DIMENSIONS = 8
"""Dimensions of one scratch buffer."""
MAX_NAME_LENGTH = 64

_THINKING_ENDS = "</think>"
_FENCE = re.compile(r"[ ]{0,3}```[ \t]*(.*)")
_LAUNCH = re.compile(r"[ \t]*//[ \t]*launch[ \t](.*<<<.*)")
_SCRATCH = re.compile(r"[ \t]*//[ \t]*scratch[ \t](.*\[.*)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_EXTERN_C = re.compile(r'extern\s*"C"')
_EXTERN_C_BLOCK = re.compile(r'extern\s*"C"\s*\{')

Argument = Expression | float
"""An integer expression (a bare name may also be a buffer) or a float literal."""
T = TypeVar("T")


@dataclass(frozen=True)
class Launch:
    """One launch line, its expressions not yet worked out."""

    kernel: str
    grid: tuple[Expression, ...]
    block: tuple[Expression, ...]
    shared: Expression
    arguments: tuple[Argument, ...]


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

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels launched, each once, in order of first launch."""
        return tuple(dict.fromkeys(launch.kernel for launch in self.launches))


def parse(text: str) -> Candidate | Refusal:
    """Read a response that holds exactly one fenced ```cuda block; what precedes `</think>` is ignored."""
    source = _fenced_source(text.rpartition(_THINKING_ENDS)[2])
    return source if isinstance(source, Refusal) else parse_source(source)


def parse_source(source: str) -> Candidate | Refusal:
    """Read the text of a .cu file, or of a fenced block."""
    problem = _unreadable(source)
    if problem:
        return Refusal(status=Status.UNPARSABLE, reason=problem)
    lines = source.split("\n")
    try:
        launches = _lines(lines, _LAUNCH, "launch", MAX_LAUNCHES, _parse_launch)
        scratch = _lines(lines, _SCRATCH, "scratch", MAX_SCRATCH, _parse_scratch)
    except ExpressionError as error:
        return Refusal(status=Status.UNPARSABLE, reason=str(error))
    if not launches:
        return Refusal(
            status=Status.UNPARSABLE,
            reason="there is no launch line; add one such as `// launch kernel<<<grid, block>>>(arguments)`",
        )
    candidate = Candidate(source, launches, scratch)
    return _undefined_kernel(candidate) or candidate


def _fenced_source(text: str) -> str | Refusal:
    """The contents of the only ```cuda block; blocks in other languages do not count."""
    blocks: list[list[str]] = []
    language: str | None = None  # of the block that we are in
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line.rstrip())
        if language is None and fence:
            language = fence[1].lower()
            if language == "cuda":
                blocks.append([])
        elif fence and not fence[1]:
            language = None
        elif language == "cuda":
            blocks[-1].append(line)
    if len(blocks) != 1:
        found = "no fenced ```cuda block" if not blocks else f"{len(blocks)} fenced ```cuda blocks"
        return Refusal(status=Status.UNPARSABLE, reason=f"the response has {found}; it must have exactly one")
    if language == "cuda":
        return Refusal(status=Status.UNPARSABLE, reason="the fenced ```cuda block is not closed")
    return "\n".join(blocks[0]) + "\n"


def _unreadable(source: str) -> str | None:
    """Why a text cannot be a source file at all, if so."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return "the source is not valid Unicode"
    if size > MAX_SOURCE_BYTES:
        return f"the source has {size} bytes; at most {MAX_SOURCE_BYTES} are allowed"
    return "the source contains a NUL character" if "\0" in source else None


def _lines(
    lines: list[str], pattern: re.Pattern[str], kind: str, limit: int, read: Callable[[Parser], T]
) -> tuple[T, ...]:
    """Read every line of one kind; an error names the line."""
    found: list[T] = []
    for number, line in enumerate(lines, start=1):
        match = pattern.fullmatch(line.rstrip())
        if match is None:
            continue
        if len(found) == limit:
            raise ExpressionError(f"there are more than {limit} {kind} lines")
        try:
            parser = Parser(match[1])
            found.append(read(parser))
            parser.end()
        except ExpressionError as error:
            raise ExpressionError(f"the {kind} line at line {number} does not parse: {error}") from None
    return tuple(found)


def _parse_launch(parser: Parser) -> Launch:
    """`name<<<grid, block[, shared]>>>(arguments)`, with a semicolon after it if one likes."""
    kernel = _name(parser, "a kernel name")
    parser.expect("<<<")
    grid = _extent(parser)
    parser.expect(",")
    block = _extent(parser)
    shared: Expression = parser.expression() if parser.accept(",") else Number(0)
    parser.expect(">>>")
    parser.expect("(")
    arguments = () if parser.accept(")") else _list(parser, _argument, MAX_ARGUMENTS, "arguments", ")")
    parser.accept(";")
    return Launch(kernel, grid, block, shared, arguments)


def _parse_scratch(parser: Parser) -> Scratch:
    """`name dtype[extent, ...]`."""
    name = _name(parser, "a buffer name")
    dtype = parser.name("a dtype")
    if dtype not in DTYPE_BYTES:
        raise ExpressionError(f"unknown dtype {dtype!r}; the dtypes are {', '.join(DTYPE_BYTES)}")
    parser.expect("[")
    return Scratch(name, dtype, _list(parser, Parser.expression, MAX_DIMENSIONS, "dimensions", "]"))


def _name(parser: Parser, what: str) -> str:
    name = parser.name(what)
    if len(name) > MAX_NAME_LENGTH:
        raise ExpressionError(f"the name {name[:20]}... is longer than {MAX_NAME_LENGTH} characters")
    return name


def _extent(parser: Parser) -> tuple[Expression, ...]:
    """A grid or block: one expression, or `dim3` with up to three."""
    if parser.next.text != "dim3" or parser.ahead(1).text != "(":
        return (parser.expression(),)
    parser.take()
    parser.expect("(")
    return _list(parser, Parser.expression, 3, "extents in dim3", ")")


def _list(parser: Parser, read: Callable[[Parser], T], limit: int, what: str, closing: str) -> tuple[T, ...]:
    """One or more items between commas, with the closing symbol."""
    items = [read(parser)]
    while parser.accept(","):
        items.append(read(parser))
        if len(items) > limit:
            raise ExpressionError(f"more than {limit} {what}")
    parser.expect(closing)
    return tuple(items)


def _argument(parser: Parser) -> Argument:
    """A float literal with its sign, or an expression."""
    negative = parser.next.text == "-"
    if parser.ahead(int(negative)).kind != "float":
        return parser.expression()
    if negative:
        parser.take()
    literal = parser.take().text
    value = float(literal.rstrip("fF"))
    if not isfinite(value):
        raise ExpressionError(f"the literal {literal} is too large")
    return -value if negative else value


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
