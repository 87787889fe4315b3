"""Static rules: what a kernel source may not contain, whatever it computes.

On the `simt` route the source is compiled as host C++ before it runs confined, so these rules are the first
of four fences (rules, confined compiler, a loader that hands out no foreign address, a locked-down process).
They also keep the two backends alike: a source cannot ask which one it runs on, and what only a real GPU can
judge (PTX, grid-wide barriers) is refused as UNSUPPORTED rather than called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evaluation.answer.headers import EVERYWHERE, ON_A_GPU
from evaluation.backends.rules import NAME, ambiguities
from evaluation.source_text import directives, plain, unclear, without_literals
from evaluation.verdict import Refusal, Status

MAX_CHARACTERS = 65_536

_UNSUPPORTED_HEADERS = re.compile(
    r"cub/.*|cuda/.*|thrust/.*|cutlass/.*|cute/.*|crt/.*|curand\w*\.h|cuda_fp[48]\.h"
    r"|cooperative_groups/details/.*\.h|cudaTypedefs\.h"
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
    "experimental matrices and pipelines": r"experimental|bmma\w*|__mma\w*",
    "barriers across the grid or a cluster": r"this_grid|grid_group|this_cluster|cluster_group",
    "barriers of asynchronous copies, and copies of tensors": r"__pipeline_arrive_on|__mbarrier\w*"
    r"|cp_async\w*|CUtensorMap|__cluster_\w+",
    "textures and surfaces": r"tex[123]D\w*|surf[123]D\w*|cudaTextureObject_t|cudaSurfaceObject_t",
    "random-number states": r"curand\w*",
    "8-bit floating types": r"__nv_fp[48]\w*",
}
_REJECTED_WORDS = {
    "compiler extensions": r"__attribute\w*|__declspec|_Pragma|__builtin_(?!expect\b|assume\b)\w+|__has_\w+"
    r"|__extension__|gnu|__gnu__|clang|__thread|thread_local|__sync_\w+|__atomic_\w+|__label__|alloca|setjmp"
    r"|longjmp|_Float\w+|__float128",
    "names of the checker": r"[sS][iI][mM][tT]\w*"
    r"|__(?:tsan|ubsan|asan|msan|sanitizer|cov|cxa|gxx|libc|real|wrap|x86)\w*",
    "macros that tell one compiler from another": r"__GNU\w*|__clang\w*|__x86_64\w*|__amd64\w*|__i386\w*"
    r"|__SANITIZE\w*|__SSE\w*|__AVX\w*|__linux\w*|__unix\w*|__OPTIMIZE\w*|__NO_INLINE__|__ELF__"
    r"|__VERSION__|__INTEL\w*|__TIME__|__DATE__|__TIMESTAMP__|__FILE__|__BASE_FILE__|__COUNTER__|__INCLUDE_LEVEL__"
    r"|__CUDACC_[A-Z]\w*|__NVCC__|__PIC__",
    "host code": r"dlopen|dlsym|cuda[A-Z]\w*|PYBIND11_MODULE",
    "the device heap": r"malloc|realloc|calloc|new|delete",
    "exceptions and run-time types": r"throw|try|catch|typeid|dynamic_cast",
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

#: Names of libraries are other people's names, too, unless they stand as namespaces.
_DEVICE_LIBRARIES, _HOST_LIBRARIES = "cub|thrust|cutlass|cute", "torch|ATen|c10"
_LIBRARY = re.compile(
    r"(?:\bnamespace\s(?:\s*\w+\s*=)?\s*|\b(?=\w+\s*::))"
    rf"(?:(?P<device>{_DEVICE_LIBRARIES})|{_HOST_LIBRARIES})\b(?:\s*::)?"
)
_STRINGIFIED = re.compile(r"(?<![#:%])(?:#|%:)(?![#:%])")
_CLOCK = re.compile(r"(?<![\w.])(clock(?:64)?)\s*\(")
_HOST_CALL = re.compile(r"(?<![\w.])(main|system|free)\s*\(")


def refuse(source: str) -> Refusal | None:
    """Return why `source` breaks the rules, or `None`; never raises. The first broken rule is named."""
    for status, reason in _violations(source):
        return Refusal(status=status, reason=reason)
    return None


def pastes(source: str) -> bool:
    """Whether `source` makes words by `##`, so that the rules must see it with its macros expanded."""
    bare = without_literals(plain(source))
    return "##" in bare or "%:%:" in bare


def _violations(source: str) -> Iterator[tuple[Status, str]]:
    if len(source) > MAX_CHARACTERS:
        yield (
            Status.REJECTED,
            f"the source has {len(source)} characters; at most {MAX_CHARACTERS} are allowed",
        )
    doubt = unclear(source)
    if doubt is not None:
        yield Status.REJECTED, doubt
    code = plain(source)
    bare = without_literals(code)
    yield from _directive_violations(code)
    yield from _symbol_violations(bare)
    yield from _word_violations(bare)
    yield from ((Status.REJECTED, reason) for reason in ambiguities(code))


def _directive_violations(code: str) -> Iterator[tuple[Status, str]]:
    for directive, rest in directives(code):
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
            if _STRINGIFIED.search(without_literals(rest)):
                yield Status.REJECTED, "the operator # is not allowed: macros need not be the same in CUDA"


def _include_violations(rest: str) -> Iterator[tuple[Status, str]]:
    header = re.fullmatch(r'<([^<>"]+)>|"([^<>"]+)"', rest)
    name = (header[1] or header[2]) if header else rest[:60]
    if name in EVERYWHERE:
        return
    if name in ON_A_GPU or _UNSUPPORTED_HEADERS.fullmatch(name):
        yield Status.UNSUPPORTED, f"the header {name} cannot be used on the CPU"
    else:
        yield Status.REJECTED, f"the header {name} is not on the list of allowed headers"


def _symbol_violations(bare: str) -> Iterator[tuple[Status, str]]:
    if "<<<" in bare:
        yield Status.REJECTED, "kernels are launched by launch lines only, not by <<<...>>> in the source"
    for library in _LIBRARY.finditer(bare):
        if library["device"]:
            yield Status.UNSUPPORTED, f"{library.group()} cannot be used on the CPU (library collectives)"
        else:
            yield Status.REJECTED, f"{library.group()} is not allowed (host code)"
    for call in _HOST_CALL.finditer(bare):
        yield Status.REJECTED, f"{call[1]} is not allowed (host code)"
    for call in _CLOCK.finditer(bare):
        yield Status.REJECTED, f"{call[1]} is not allowed: what a kernel computes must not depend on the time"
    if re.search(r"\bcuda\s*::", bare):
        yield Status.UNSUPPORTED, "the library namespace cuda:: cannot be used on the CPU"
    if not bare.isascii() or "$" in bare or re.search(r"\\[uUN]", bare):
        yield Status.REJECTED, "only ASCII letters, digits and _ are allowed in names"


def _word_violations(bare: str) -> Iterator[tuple[Status, str]]:
    for word in dict.fromkeys(NAME.findall(bare)):
        found = _WORDS.fullmatch(word)
        if found and found.lastindex:
            status, what = _WHAT[found.lastindex - 1]
            verb = "cannot be judged on the CPU" if status is Status.UNSUPPORTED else "is not allowed"
            yield status, f"{word} {verb} ({what})"
