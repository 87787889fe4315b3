"""From CUDA source to the translation unit that the C++ compiler gets.

The shim (`native/shim`) makes almost all of CUDA C++ valid C++. Three things need the text changed, always
keeping its line numbers: includes (the shim is there already), dynamic shared memory (an unsized array, which
C++ lacks), and the entry points that the runner calls, which are appended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from evaluation.backends.simt.compile import LAUNCH_LINES, Shim
from evaluation.source_text import directives, macros, plain, without_literals

_INCLUDE = re.compile(r"^[ \t]*(?:#|%:)[ \t]*include\b[^\n]*", re.MULTILINE)

#: Keeps an include from the preprocessor, which leaves a pragma that it does not know as it is.
_LATER = "#pragma simt_later"
_MARKER = re.compile(r'# (?P<line>\d+) "(?P<file>[^"]*)".*')

_ALIGNMENT = r"(?:__align__|alignas)\s{0,32}\([^()]{0,64}(?:\([^()]{0,64}\))?[^()]{0,64}\)"
_SPECIFIER = rf"(?:extern|__shared__|volatile|static|{_ALIGNMENT})"
#: Lengths are bounded, so that no text makes the search slow.
_UNSIZED_ARRAY = re.compile(
    rf"\b(?P<specifiers>{_SPECIFIER}(?:\s{{1,32}}{_SPECIFIER}){{1,4}})\s{{1,32}}"
    r"(?P<type>[\w:<>,\s]{0,160}?[\w>])\s{1,32}(?P<name>\w{1,128})\s{0,32}\[\s{0,32}\]"
    r"(?P<inner>(?:\s{0,32}\[[\w\s+*/()<>:-]{1,128}\]){0,4})\s{0,32};"
)

_NEEDS_HEADER = {
    "cuda_fp16.h": re.compile(r"\b(__half2?|half2?|__half\w+|__float2half\w*|h(exp|sqrt|rsqrt|log|rcp))\b"),
    "cuda_bf16.h": re.compile(r"\b(__nv_bfloat162?|nv_bfloat162?|__float2bfloat16\w*|__bfloat16\w+)\b"),
    "mma.h": re.compile(r"\b(nvcuda|wmma)\b"),
    "cuda_pipeline_primitives.h": re.compile(r"\b__pipeline_(memcpy_async|commit|wait_prior)\b"),
    "cooperative_groups/memcpy_async.h": re.compile(r"\bmemcpy_async\b"),
    "cooperative_groups.h": re.compile(r"\bcooperative_groups\b"),
    "float.h": re.compile(r"\b(FLT|DBL)_(MAX|MIN|EPSILON)\b"),
    "stdint.h": re.compile(
        r"\b(uint(8|16|32|64)_t|u?intptr_t|std::u?int(8|16|32|64)_t|U?INT(8|16|32|64)_(MAX|MIN))\b"
    ),
    "math_constants.h": re.compile(r"\bCUDART_\w+"),
    "limits": re.compile(r"\bnumeric_limits\b"),
    "algorithm": re.compile(r"\bstd\s*::\s*(max|min|clamp)\b"),
    "type_traits": re.compile(
        r"\bstd\s*::\s*(is_\w+|(enable_if|conditional|decay|remove_\w+|make_(un)?signed)(_t)?)\b"
    ),
}
#: Declares a name itself, as a variable or a type: `int half = n / 2;`.
_DECLARES = re.compile(
    r"\b(?:(?:int|unsigned|signed|char|short|long|float|double|bool|auto|size_t|u?int\d{1,2}_t|dim3)\s{1,32}){1,4}"
    r"(?P<declared>\w{1,64})\b|\b(?P<assigned>\w{1,64})\s{0,32}=(?!=)"
)
_SMALL_FLOAT_HEADERS = frozenset({"cuda_fp16.h", "cuda_bf16.h", "mma.h"})
_WORD_SIMD = re.compile(r"\b__v\w+[24]\b")
_VECTOR = r"\b(?:dim3|u?(?:char|short|int|long|longlong|float|double)[1-4])\b"
#: Without one of these no function takes a structure: words that make types, or a vector as a parameter.
_MAY_PASS_STRUCTURES = re.compile(
    r"\b(?:struct|class|union|typedef|using|decltype|auto|template|cooperative_groups|__st\w+)\b"
    rf"|#[^\n]*{_VECTOR}|[(,]\s{{0,32}}(?:const\s{{1,32}})?{_VECTOR}\s{{0,32}}(?:const\s{{1,32}})?\w{{0,64}}\s{{0,32}}[,)]"
)
#: Headers that others are, or include.
_BRINGS = {
    "cfloat": {"float.h"},
    "cstdint": {"stdint.h"},
    "mma.h": {"cuda_fp16.h", "cuda_bf16.h"},
    "cuda_pipeline.h": {"cuda_pipeline_primitives.h"},
    "cooperative_groups/memcpy_async.h": {"cuda_pipeline_primitives.h"},
}


def shim_of(source: str) -> Shim:
    """The smallest shim behind which `source` compiles with all its reads checked."""
    code = plain(source)
    bare = without_literals(_INCLUDE.sub("", code))
    if _SMALL_FLOAT_HEADERS & _included(code) or _WORD_SIMD.search(bare):
        return Shim.SMALL_FLOATS
    return Shim.STRUCTURES if _MAY_PASS_STRUCTURES.search(bare) else Shim.SCALARS


def missing_header(source: str) -> str | None:
    """The reason why `source` would not compile on a GPU for lack of an include, if so.

    The shim declares everything, so without this check such a kernel would pass here and fail there.
    """
    code = plain(source)
    text = without_literals(_INCLUDE.sub("", code))
    own = {*macros(text), *(found["declared"] or found["assigned"] for found in _DECLARES.finditer(text))}
    for header, pattern in _NEEDS_HEADER.items():
        missing = (found.group() for found in pattern.finditer(text) if found.group() not in own)
        name = None if header in _included(code) else next(missing, None)
        if name is not None:
            return f"{name} is not declared without #include <{header}>"
    return None


def _missing(name: str, code: str) -> bool:
    """Whether `name` belongs to a header that `code` does not include."""
    headers = [header for header, pattern in _NEEDS_HEADER.items() if pattern.fullmatch(name)]
    return bool(headers) and not _included(code) & {*headers}


@lru_cache(maxsize=4)
def _included(code: str) -> frozenset[str]:
    """The headers that plain text includes, by their names in _NEEDS_HEADER."""
    found = (re.match(r'[<"]([^>"]+)[>"]', text) for name, text in directives(code) if name == "include")
    headers = {header[1] for header in found if header}
    if any(header.startswith("cooperative_groups/") for header in headers):
        headers.add("cooperative_groups.h")
    return frozenset(headers.union(*(_BRINGS[header] for header in headers & _BRINGS.keys())))


def to_expand(code: str) -> str:
    """`code` for the preprocessor alone: its includes are kept for later."""
    return '#line 1 "kernel.cu"\n' + _INCLUDE.sub(lambda include: f"{_LATER} {include.group()}", code)


def expanded(output: str) -> str:
    """The preprocessor's output as a source: includes are back, and every line is where it was."""
    lines: list[str] = []
    for line in output.split("\n"):
        marker = _MARKER.fullmatch(line)
        if marker is None:
            lines.append(line.removeprefix(_LATER))
        elif marker["file"] == "kernel.cu":
            lines += [""] * (int(marker["line"]) - 1 - len(lines))
    return "\n".join(lines)


def translation_unit(code: str, kernels: Mapping[str, str]) -> str:
    """The text to compile behind the shim; diagnostics name the candidate's own lines of `kernel.cu`.

    It is the plain text that the rules have judged. Its macros end with it: those of the entry points, and
    the names in them, are ours. What a source may define itself for lack of a header is not defined before.
    `kernels` says what each kernel is called in `code`.
    """
    text = _UNSIZED_ARRAY.sub(_dynamic_shared, _INCLUDE.sub("", code))
    unknown = "".join(f"#undef {name}\n" for name in macros(code) if _missing(name, code))
    forgotten = "".join(f"#undef {name}\n" for name in macros(code))
    entries = "".join(f"SIMT_KERNEL({symbol_of(kernel)}, {name})\n" for kernel, name in kernels.items())
    before = f'{unknown}#line 1 "kernel.cu"\n' if unknown else ""
    return f'{before}{text}\n#line 1 "{LAUNCH_LINES}"\n{forgotten}{entries}'


def symbol_of(kernel: str) -> str:
    """The name that the runner finds a kernel by: its own where that is an identifier."""
    if kernel.isidentifier():
        return kernel
    words = re.sub(r"\W+", "_", kernel)[:40]
    return f"{words}_{crc32(kernel.encode()):08x}"


def _dynamic_shared(declaration: re.Match[str]) -> str:
    """`extern __shared__ T name[];` as a pointer to the runner's dynamic shared memory."""
    specifiers = set(declaration["specifiers"].split())
    if not specifiers >= {"extern", "__shared__"}:
        return declaration.group()
    kind, name, inner = declaration["type"], declaration["name"], declaration["inner"].strip()
    if "volatile" in specifiers:
        kind = f"volatile {kind}"
    if inner:
        pointer = f"static {kind} (*const {name}){inner} = ({kind} (*){inner})simt_dynamic_shared;"
    else:
        pointer = f"static {kind}* const {name} = ({kind}*)simt_dynamic_shared;"
    newlines = declaration.group().count("\n") - pointer.count("\n")
    return pointer + "\n" * max(newlines, 0)
