"""From CUDA source to the translation unit that the C++ compiler gets.

The shim (`native/shim`) makes almost all of CUDA C++ valid C++. Three things need the text changed, always
keeping its line numbers: includes (the shim is there already), dynamic shared memory (an unsized array, which
C++ lacks), and the entry points that the runner calls, which are appended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from evaluation.rules import without_comments

_INCLUDE = re.compile(r"^[ \t]*(?:#|%:)[ \t]*include\b[^\n]*", re.MULTILINE)

_ALIGNMENT = r"(?:__align__|alignas)\s*\([^()]*(?:\([^()]*\))?[^()]*\)"
_DYNAMIC_SHARED = re.compile(
    rf"\bextern(?P<specifiers>(?:\s+(?:__shared__|{_ALIGNMENT}))+)\s+(?P<type>[\w:<>,\s]*?[\w>])\s+"
    r"(?P<name>\w+)\s*\[\s*\](?P<inner>(?:\s*\[[^\]]+\])*)\s*;"
)

_NEEDS_HEADER = {
    "cuda_fp16.h": re.compile(r"\b(__half2?|half2?|__half\w+|__float2half\w*|h(exp|sqrt|rsqrt|log|rcp))\b"),
    "cuda_bf16.h": re.compile(r"\b(__nv_bfloat162?|nv_bfloat162?|__float2bfloat16\w*|__bfloat16\w+)\b"),
    "cooperative_groups.h": re.compile(r"\bcooperative_groups\b"),
    "float.h": re.compile(r"\b(FLT|DBL)_(MAX|MIN|EPSILON)\b"),
    "stdint.h": re.compile(
        r"\b(uint(8|16|32|64)_t|u?intptr_t|std::u?int(8|16|32|64)_t|U?INT(8|16|32|64)_(MAX|MIN))\b"
    ),
    "math_constants.h": re.compile(r"\bCUDART_\w+"),
}
#: Names in C++ of headers of C.
_SAME_HEADER = {"cfloat": "float.h", "cstdint": "stdint.h"}


def missing_header(source: str) -> str | None:
    """The reason why `source` would not compile on a GPU for lack of an include, if so.

    The shim declares everything, so without this check such a kernel would pass here and fail there.
    """
    code = without_comments(source)
    included = set(re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', code, re.MULTILINE))
    if any(header.startswith("cooperative_groups/") for header in included):
        included.add("cooperative_groups.h")
    included |= {_SAME_HEADER[header] for header in included & _SAME_HEADER.keys()}
    code = _INCLUDE.sub("", code)
    for header, pattern in _NEEDS_HEADER.items():
        found = pattern.search(code)
        if found and header not in included:
            return f"{found.group()} is not declared without #include <{header}>"
    return None


def translation_unit(source: str, kernels: Sequence[str]) -> str:
    """The text to compile behind the shim; diagnostics name the candidate's own lines of `kernel.cu`."""
    text = _DYNAMIC_SHARED.sub(_dynamic_shared, _INCLUDE.sub("", source))
    entries = "".join(f"SIMT_KERNEL({kernel})\n" for kernel in kernels)
    return f'{text}\n#line 1 "launch lines"\n{entries}'


def _dynamic_shared(declaration: re.Match[str]) -> str:
    """`extern __shared__ T name[];` as a pointer to the runner's dynamic shared memory."""
    if "__shared__" not in declaration["specifiers"]:
        return declaration.group()
    kind, name, inner = declaration["type"], declaration["name"], declaration["inner"].strip()
    if inner:
        pointer = f"static {kind} (*const {name}){inner} = ({kind} (*){inner})simt_dynamic_shared;"
    else:
        pointer = f"static {kind}* const {name} = ({kind}*)simt_dynamic_shared;"
    newlines = declaration.group().count("\n") - pointer.count("\n")
    return pointer + "\n" * max(newlines, 0)
