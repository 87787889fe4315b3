"""Rules of both backends: what would make one source mean different things to different compilers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from evaluation.source_text import directives, macros, without_literals
from evaluation.toolchain import shim_text

_CONDITIONS = frozenset(["if", "ifdef", "ifndef", "elif"])
#: What a condition may ask that its source has not defined: on a GPU the answer is the same.
_ASKED = re.compile(r"__CUDA_ARCH__|__CUDACC__|__cplusplus|[A-Za-z]\w*")
NAME = re.compile(r"(?<![\w$])[A-Za-z_$][\w$]*")
#: A type and a name before the brackets; other words that may stand there begin a statement or an expression.
_EMPTY_ARRAY = re.compile(
    r"\b(?!(?:return|else|do|case|goto|sizeof|new|delete|and|or|not)\b)[A-Za-z_]\w*>?\s+\w+\s*\[\s*0[uUlL]*\s*\]"
)


def ambiguities(code: str) -> Iterator[str]:
    """Why `code` (`source_text.plain` of a source) is refused on every backend, sentence by sentence."""
    own = set(macros(code))
    for directive, condition in directives(code):
        for name in NAME.findall(condition) if directive in _CONDITIONS else ():
            if name not in own and (not _ASKED.fullmatch(name) or name in _shim_macros()):
                yield f"#{directive} may not ask for {name}: it tells one compiler from another"
    if _EMPTY_ARRAY.search(without_literals(code)):
        yield "an array of no elements is not allowed, for CUDA has none"


@cache
def _shim_macros() -> frozenset[str]:
    """What is a macro on the CPU and need not be one in CUDA."""
    return frozenset(re.findall(r"^\s*#\s*define\s+([A-Za-z]\w*)", shim_text(), re.MULTILINE))
