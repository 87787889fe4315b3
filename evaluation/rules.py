"""Static rules: what a kernel source may not contain, whatever it computes.

On the `simt` route the source is compiled as host C++ before it runs confined, so these rules are the first
of four fences (rules, confined compiler, a loader that hands out no foreign address, a locked-down process).
They also keep the two backends alike: a source cannot ask which one it runs on, and what only a real GPU can
judge (PTX, tensor cores, grid-wide barriers) is refused as UNSUPPORTED rather than called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from evaluation.verdict import Refusal, Status

MAX_CHARACTERS = 65_536

HEADERS = frozenset(
    [
        "cuda.h",
        "cuda_runtime.h",
        "cuda_fp16.h",
        "cuda_bf16.h",
        "math_constants.h",
        "device_launch_parameters.h",
        "vector_types.h",
        "cooperative_groups.h",
        "cooperative_groups/reduce.h",
        "stdint.h",
        "math.h",
        "float.h",
        "limits.h",
        "stddef.h",
        "stdio.h",
        "assert.h",
        "cstdint",
        "cmath",
        "cfloat",
        "climits",
        "cstddef",
        "cstdio",
        "cassert",
    ]
)
"""Headers that a kernel may include."""

_UNSUPPORTED_HEADERS = re.compile(
    r"mma\.h|cub/.*|cuda/.*|thrust/.*|cutlass/.*|cute/.*|crt/.*|curand\w*\.h|cuda_pipeline\w*\.h|cuda_fp[48]\.h"
    r"|cooperative_groups/(memcpy_async|scan|details/.*)\.h|cudaTypedefs\.h|type_traits|limits|utility"
)
_DIRECTIVES = frozenset(
    [
        "define",
        "undef",
        "if",
        "ifdef",
        "ifndef",
        "elif",
        "else",
        "endif",
        "pragma",
        "error",
        "warning",
        "include",
    ]
) | {""}
_PRAGMAS = re.compile(r"(unroll|nounroll|once|nv_diag\w*|diag_suppress)\b.*", re.DOTALL)

_UNSUPPORTED_WORDS = {
    "inline PTX": r"asm|__asm|__asm__",
    "tensor-core operations": r"wmma|nvcuda|__mma\w*",
    "barriers across the grid or a cluster": r"this_grid|grid_group|this_cluster|cluster_group",
    "asynchronous copies": r"memcpy_async|__pipeline_\w+|cp_async\w*|CUtensorMap|__cluster_\w+",
    "library collectives": r"cub|thrust|cutlass|cute",
    "textures and surfaces": r"tex[123]D\w*|surf[123]D\w*|cudaTextureObject_t|cudaSurfaceObject_t",
    "random-number states": r"curand\w*",
    "8-bit floating types": r"__nv_fp[48]\w*",
    "groups of coalesced threads": r"coalesced_threads|coalesced_group|labeled_partition|binary_partition",
}
_REJECTED_WORDS = {
    "compiler extensions": r"__attribute\w*|__declspec|_Pragma|__builtin_(?!expect\b|assume\b)\w+|__has_\w+"
    r"|gnu|__gnu__|clang|__thread|thread_local|__sync_\w+|__atomic_\w+|__label__|alloca|setjmp"
    r"|longjmp|_Float\w+|__float128",
    "names of the checker": r"[sS][iI][mM][tT]\w*"
    r"|__(?:tsan|ubsan|asan|msan|sanitizer|cov|cxa|gxx|libc|real|wrap)\w*",
    "macros that tell one compiler from another": r"__GNU\w*|__clang\w*|__x86_64\w*|__amd64\w*|__i386\w*"
    r"|__SANITIZE\w*|__SSE\w*|__AVX\w*|__linux\w*|linux|unix|__unix\w*|__OPTIMIZE\w*|__NO_INLINE__|__ELF__"
    r"|__VERSION__|__INTEL\w*|__TIME__|__DATE__|__TIMESTAMP__|__FILE__|__BASE_FILE__|__COUNTER__|__INCLUDE_LEVEL__"
    r"|__CUDACC_\w+|__NVCC__|__PIC__",
    "host code": r"main|system|dlopen|dlsym|cuda[A-Z]\w*|torch|ATen|c10|PYBIND11_MODULE",
    "the device heap": r"malloc|free|realloc|calloc|new|delete",
    "exceptions, modules and run-time types": r"throw|try|catch|typeid|dynamic_cast|import|module|export",
}
_WHAT = [
    *((Status.UNSUPPORTED, what) for what in _UNSUPPORTED_WORDS),
    *((Status.REJECTED, what) for what in _REJECTED_WORDS),
]
"""Status and description of each group of _WORDS, in its order."""
_WORDS = re.compile(
    "|".join(f"({words})" for table in (_UNSUPPORTED_WORDS, _REJECTED_WORDS) for words in table.values())
)

_PROTECTED_MACROS = re.compile(
    r"__\w+|threadIdx|blockIdx|blockDim|gridDim|warpSize|assert|defined|extern|static|const|constexpr|volatile|inline"
    r"|if|else|for|while|do|switch|case|return|sizeof|void|bool|char|short|int|long|float|double|signed|unsigned"
    r"|struct|class|template|typename|namespace|using|auto|operator|true|false"
)

_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<string> (?:u8|[uUL])?"(?:\\.|[^"\\\n])*" )
    | (?P<character> (?:u8|[uUL])?'(?:\\.|[^'\\\n])+' )
    | (?P<number> \.?\d(?:[eEpP][+-]|'\w|[\w.])* )
    | (?P<word> [^\W\d][\w$]* | \$[\w$]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_KERNEL = re.compile(
    r'(?P<linkage>\bextern\s*"C"\s+(?:static\s+)?)?(?:\bvoid\s+)?\b__global__\b'
    r"(?:\s|\bvoid\b|\b__launch_bounds__\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*(?P<name>\w+)\s*\("
)
_NAME = re.compile(r"(?<![\w$])[A-Za-z_$][\w$]*")
_SPLICE = re.compile(r"\\[ \t\v\f]*\r?\n")


def refuse(source: str) -> Refusal | None:
    """Return why `source` breaks the rules, or `None`; never raises. The first broken rule is named."""
    for status, reason in _violations(source):
        return Refusal(status=status, reason=reason)
    return None


def undefined_kernel(source: str, kernels: Sequence[str]) -> Refusal | None:
    """Refuse a launched name that `source` does not define as `extern "C" __global__ void name(...)`."""
    code = without_comments(source)
    block = re.search(r'\bextern\s*"C"\s*\{', code) is not None
    defined = {match["name"]: block or match["linkage"] is not None for match in _KERNEL.finditer(code)}
    for kernel in kernels:
        if kernel not in defined:
            reason = f"a launch line names the kernel {kernel}, which the source does not define"
        elif not defined[kernel]:
            reason = f'the kernel {kernel} is not declared extern "C"'
        else:
            continue
        return Refusal(status=Status.REJECTED, reason=reason)
    return None


def without_comments(source: str) -> str:
    """`source` with spliced lines joined and every comment replaced by a space."""
    joined = _SPLICE.sub("", source)
    return _TOKEN.sub(lambda token: " " if token["comment"] is not None else token.group(), joined)


def _violations(source: str) -> Iterator[tuple[Status, str]]:
    yield from _text_violations(source)
    code = without_comments(source)
    bare = _TOKEN.sub(lambda token: '""' if token["string"] or token["character"] else token.group(), code)
    yield from _directive_violations(code)
    yield from _symbol_violations(bare)
    yield from _word_violations(bare)


def _text_violations(source: str) -> Iterator[tuple[Status, str]]:
    """What would make the text read differently to a compiler than to these rules."""
    if len(source) > MAX_CHARACTERS:
        yield (
            Status.REJECTED,
            f"the source has {len(source)} characters; at most {MAX_CHARACTERS} are allowed",
        )
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)", source):
        yield Status.REJECTED, "the source contains control characters"
    if re.search(r"\?\?[/=]", source):
        yield Status.REJECTED, "trigraphs are not allowed"
    if re.search(r'(?<!\w)(?:u8|[uUL])?R"', source):
        yield Status.REJECTED, "raw string literals are not allowed"


def _directive_violations(code: str) -> Iterator[tuple[Status, str]]:
    for found in re.finditer(r"^[ \t]*(?:#|%:)[ \t]*(\w*)[ \t]*([^\n]*)", code, flags=re.MULTILINE):
        directive, rest = found[1], found[2].strip()
        if directive not in _DIRECTIVES:
            yield Status.REJECTED, f"the preprocessor directive #{directive} is not allowed"
        elif directive == "include":
            yield from _include_violations(rest)
        elif directive == "pragma" and not _PRAGMAS.fullmatch(rest):
            yield Status.REJECTED, f"#pragma {rest[:40]} is not allowed"
        elif directive in ("define", "undef"):
            name = (re.match(r"\w*", rest) or [""])[0]
            if _PROTECTED_MACROS.fullmatch(name):
                yield Status.REJECTED, f"the macro {name} may not be redefined"


def _include_violations(rest: str) -> Iterator[tuple[Status, str]]:
    header = re.fullmatch(r'<([^<>"]+)>|"([^<>"]+)"', rest)
    name = (header[1] or header[2]) if header else rest[:60]
    if name in HEADERS:
        return
    if _UNSUPPORTED_HEADERS.fullmatch(name):
        yield Status.UNSUPPORTED, f"the header {name} cannot be used on the CPU"
    else:
        yield Status.REJECTED, f"the header {name} is not on the list of allowed headers"


def _symbol_violations(bare: str) -> Iterator[tuple[Status, str]]:
    if "##" in bare or "%:%:" in bare:
        yield Status.REJECTED, "token pasting (##) is not allowed"
    if "<<<" in bare:
        yield Status.REJECTED, "kernels are launched by launch lines only, not by <<<...>>> in the source"
    if re.search(r"\bcuda\s*::", bare):
        yield Status.UNSUPPORTED, "the library namespace cuda:: cannot be used on the CPU"
    if not bare.isascii() or "$" in bare or re.search(r"\\[uUN]", bare):
        yield Status.REJECTED, "only ASCII letters, digits and _ are allowed in names"


def _word_violations(bare: str) -> Iterator[tuple[Status, str]]:
    for word in dict.fromkeys(_NAME.findall(bare)):
        found = _WORDS.fullmatch(word)
        if found and found.lastindex:
            status, what = _WHAT[found.lastindex - 1]
            verb = "cannot be judged on the CPU" if status is Status.UNSUPPORTED else "is not allowed"
            yield status, f"{word} {verb} ({what})"
