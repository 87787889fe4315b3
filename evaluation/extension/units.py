"""Takes the C++ text of an answer apart: device code here, host functions and bindings there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from evaluation.answer.headers import ON_A_GPU
from evaluation.answer.kernel_names import declarations
from evaluation.extension.cpp_parser import Parser, parameters
from evaluation.extension.nodes import Function, Node, Parameter, Statement
from evaluation.extension.outcome import NotTakenError, Reason, not_understood
from evaluation.extension.tokens import Token, closing, tokens_of
from evaluation.source_text import plain

_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?P<name>\w*)[ \t]*(?P<rest>[^\n]*)", re.MULTILINE | re.ASCII)
_DEFINE = re.compile(
    r"(?P<name>[A-Za-z_]\w*)(?P<parameters>\([^()]*\))?[ \t]*(?P<body>.*)", re.DOTALL | re.ASCII
)
_DEVICE = frozenset(["__global__", "__device__", "__constant__", "__shared__", "__managed__"])
_BINDINGS = re.compile(r"PYBIND11_MODULE|TORCH_LIBRARY\w*")
_HOST = re.compile(
    r"<<<|\b(?:torch|at|c10|py|pybind11)\s*::|\bstd\s*::\s*(?:vector|string|cout|cerr|tuple|optional)\b|\bcuda[A-Z]\w*"
    r"|\b(?:AT|TORCH|C10|TORCH_CHECK)_[A-Z_]+|\bTORCH_CHECK\b|\bcu(?:blas|dnn)\w*|\bf?printf\s*\(\s*stderr|\bexit\s*\("
)
_CHECKS = re.compile(
    r"\b(?:TORCH_\w*CHECK\w*|TORCH_INTERNAL_ASSERT|AT_ASSERT\w*|AT_ERROR|C10_CUDA\w*|cuda[A-Z]\w*)\b"
)
_NAMESPACES = re.compile(r"using namespace (?:cooperative_groups|nvcuda|nvcuda::wmma)")
_TYPES = frozenset(["struct", "class", "enum", "union", "typedef", "using"])
_NOT_NAMES = frozenset(["__launch_bounds__", "__attribute__", "decltype", "alignas", "__align__"])
_SPELLINGS = (
    (re.compile(r"\b(?:at|c10|torch)\s*::\s*Half\b"), "__half"),
    (re.compile(r"\b(?:at|c10|torch)\s*::\s*BFloat16\b"), "__nv_bfloat16"),
)
#: Headers that torch's own include, by words that need them.
_BROUGHT = {
    "cfloat": r"(?:FLT|DBL)_\w+",
    "climits": r"U?(?:INT|LONG|CHAR|SHRT)_M(?:AX|IN)",
    "cmath": r"M_\w+|std\s*::\s*\w+",
    "cstdint": r"u?int\d+_t",
    "limits": r"numeric_limits",
    "algorithm": r"std\s*::\s*(?:min|max|swap)",
    "cuda_fp16.h": r"half|__half|half2|__half2",
    "cuda_bf16.h": r"\w*bfloat16\w*",
}
_TORCH_TYPE = re.compile(r"\b(?:torch|at|c10|ATen)\s*::\s*\w+")


@dataclass(frozen=True)
class Macro:
    """A `#define` of the answer."""

    parameters: tuple[str, ...] | None
    body: str
    line: int

    @property
    def is_check(self) -> bool:
        """Whether it only looks for errors."""
        return _CHECKS.search(self.body) is not None


@dataclass(frozen=True)
class HostFunction:
    """A function of the host that is read when it is called: what nobody calls may be anything."""

    name: str
    line: int
    template: tuple[str, ...]
    head: tuple[Token, ...]
    body: tuple[Token, ...]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters."""
        return parameters(list(self.head))

    @cached_property
    def function(self) -> Function:
        """The function with its statements."""
        return Function(self.line, self.name, self.parameters, Parser(self.body).statements(), self.template)


@dataclass(frozen=True)
class Binding:
    """What Python calls by a name: a host function, and its parameters' names and defaults in Python."""

    function: HostFunction | str
    names: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Node], ...] = ()


@dataclass
class Unit:
    """All C++ texts of an answer, taken apart."""

    device: str = ""
    functions: dict[str, list[HostFunction]] = field(default_factory=dict)
    globals: list[Statement] = field(default_factory=list)
    macros: dict[str, Macro] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)

    @cached_property
    def kernels(self) -> frozenset[str]:
        """The kernels that the device code declares."""
        return frozenset(one.name for one in declarations(plain(self.device)))


def read_units(texts: Sequence[tuple[str, int]]) -> Unit:
    """Take C++ texts, each with the number of its first line, apart."""
    unit = Unit()
    parts = []
    for text, line in texts:
        parts.append(_read(plain(text.replace("\r\n", "\n")), line, unit))
    unit.device = _with_headers(_tidy("\n".join(part for part in parts if part.strip())))
    if found := _TORCH_TYPE.search(unit.device):
        raise not_understood(f"{found.group()} in device code")
    return unit


def _with_headers(device: str) -> str:
    """Device code with the headers that it had from torch's."""
    missing = [
        name
        for name, words in _BROUGHT.items()
        if re.search(rf"\b(?:{words})\b", device) and f"<{name}>" not in device
    ]
    return "".join(f"#include <{name}>\n" for name in missing) + device


def _tidy(text: str) -> str:
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
    return "\n".join(kept).strip("\n") + "\n"


def _read(code: str, first_line: int, unit: Unit) -> str:
    """The device code of one text; everything else goes into the unit."""
    kept: list[tuple[int, int]] = []
    for found in _DIRECTIVE.finditer(code):
        if _keeps(found["name"], found["rest"], first_line + code.count("\n", 0, found.start()), unit):
            kept.append(found.span())
    bare = _DIRECTIVE.sub(lambda found: " " * len(found.group()), code)
    tokens = tokens_of(bare, first_line)
    text = list(bare)
    for item in _items(tokens):
        if not _sort(item, unit):
            begin, end = item[0].start, item[-1].end
            text[begin:end] = [sign if sign == "\n" else " " for sign in text[begin:end]]
    for begin, end in kept:
        text[begin:end] = code[begin:end]
    return "".join(text)


def _keeps(name: str, rest: str, line: int, unit: Unit) -> bool:
    """Whether a directive belongs to device code; a macro is noted for the host in any case."""
    if name == "include":
        return rest.strip()[1:-1] in ON_A_GPU
    if name != "define":
        return name != "pragma" or re.match(r"(?:no)?unroll|once", rest) is not None
    found = _DEFINE.match(rest)
    if found is None:
        return False
    names = found["parameters"]
    listed = tuple(part.strip() for part in names[1:-1].split(",") if part.strip()) if names else ()
    unit.macros[found["name"]] = Macro(None if names is None else listed, found["body"], line)
    uses = {
        word for word in re.findall(r"\w+", found["body"]) if word in unit.macros and word != found["name"]
    }
    is_host = _HOST.search(found["body"]) or any(_HOST.search(unit.macros[word].body) for word in uses)
    return not is_host and not re.search(r"(?<!#)#(?!#)", found["body"])


def _items(tokens: list[Token]) -> Iterator[list[Token]]:
    """The declarations of a text, those in namespaces and `extern "C"` too."""
    at = 0
    while at < len(tokens):
        if tokens[at].text in ("}", ";"):
            at += 1
            continue
        opening = at + 1
        if tokens[at].text == "namespace" or (tokens[at].text == "extern" and _is_string(tokens, at + 1)):
            while opening < len(tokens) and (
                tokens[opening].kind in ("word", "string") or tokens[opening].text == "::"
            ):
                opening += 1
            if opening < len(tokens) and tokens[opening].text == "{":
                at = opening + 1
                continue
        end = _item_end(tokens, at)
        yield tokens[at:end]
        at = end


def _is_string(tokens: list[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].kind == "string"


def _item_end(tokens: list[Token], begin: int) -> int:
    at = begin
    is_type, angles = False, 0
    while at < len(tokens):
        text = tokens[at].text
        if text == ";":
            return at + 1
        if text in ("(", "[", "{"):
            is_body = text == "{" and at > begin and tokens[at - 1].text != "="
            at = closing(tokens, at)
            if is_body and not is_type:
                return at + 1
        is_type = is_type or (text in _TYPES and angles <= 0)  # not in a template's parameters
        angles += (text == "<") - (text == ">") - 2 * (text == ">>")
        at += 1
    return at


def _sort(item: list[Token], unit: Unit) -> bool:
    """Put a declaration where it belongs; whether it is device code."""
    first = item[0].text
    if _BINDINGS.fullmatch(first):
        _bind(item, unit)
        return False
    opening = next((at for at, token in enumerate(item) if token.text == "{"), len(item))
    head = item[:opening]
    words = {token.text for token in head if token.kind == "word"}
    text = " ".join(token.text for token in item)
    template, begin = _template(head)
    if words & _DEVICE:
        if "__host__" in words and opening < len(item):
            _host_function(item, begin, opening, template, unit)
        return True
    if first == "using" and "namespace" in words:
        return _NAMESPACES.match(text.replace(" :: ", "::")) is not None
    if begin < len(item) and item[begin].text in _TYPES:
        return _HOST.search(text) is None
    if opening < len(item) and item[opening - 1].text not in ("=", "]") and "(" in {t.text for t in head}:
        _host_function(item, begin, opening, template, unit)
        return "constexpr" in words and _HOST.search(text) is None
    if "=" in {token.text for token in item} or words & {"const", "constexpr"}:
        return _constant(item, text, unit)
    return False


def _template(head: list[Token]) -> tuple[tuple[str, ...], int]:
    """The names of a template's parameters, and where what follows them begins."""
    if len(head) < 2 or head[0].text != "template" or head[1].text != "<":
        return (), 0
    names: list[str] = []
    depth = 0
    for at in range(1, len(head)):
        depth += (head[at].text == "<") - (head[at].text == ">") - 2 * (head[at].text == ">>")
        if (head[at].text == "," and depth == 1) or depth == 0:
            names.append(head[at - 1].text)
        if depth == 0:
            return tuple(names), at + 1
    return (), 0


def _host_function(
    item: list[Token], begin: int, opening: int, template: tuple[str, ...], unit: Unit
) -> None:
    for at in range(begin + 1, opening):
        if item[at].text == "(" and item[at - 1].kind == "word" and item[at - 1].text not in _NOT_NAMES:
            end, body_end = closing(item, at), closing(item, opening)
            name = item[at - 1].text
            function = HostFunction(
                name,
                item[at - 1].line,
                template,
                tuple(item[at + 1 : end]),
                tuple(item[opening + 1 : body_end]),
            )
            unit.functions.setdefault(name, []).append(function)
            return


def _constant(item: list[Token], text: str, unit: Unit) -> bool:
    """Note a constant of the file; whether device code may have it."""
    try:
        unit.globals += Parser(item).statements()
    except NotTakenError:
        return _HOST.search(text) is None
    return _HOST.search(text) is None and "dim3" not in text


def _bind(item: list[Token], unit: Unit) -> None:
    """Note what a module gives to Python: `m.def("name", &function, py::arg("x") = 1)`."""
    for at, token in enumerate(item[:-3]):
        if token.text in ("def", "impl") and item[at + 1].text == "(" and item[at + 2].kind == "string":
            end = closing(item, at + 1)
            rest = item[at + 3 : end]
            function = _bound(rest)
            if function is not None:
                names, defaults = _arguments(rest)
                unit.bindings[item[at + 2].text.strip('"')] = Binding(function, names, defaults)


def _bound(tokens: list[Token]) -> HostFunction | str | None:
    """The function behind the name: another name, or a lambda."""
    place = 1
    while place < len(tokens) and tokens[place].text in ("&", "torch", "::"):
        place += 1
    if place >= len(tokens):
        return None
    if tokens[place].text == "[":
        opening = closing(tokens, place) + 1
        end = closing(tokens, opening)
        body = next((at for at in range(end, len(tokens)) if tokens[at].text == "{"), None)
        if body is None:
            return None
        inside = tuple(tokens[body + 1 : closing(tokens, body)])
        return HostFunction("lambda", tokens[place].line, (), tuple(tokens[opening + 1 : end]), inside)
    while place + 2 < len(tokens) and tokens[place + 1].text == "::":
        place += 2
    return tokens[place].text


def _arguments(tokens: list[Token]) -> tuple[tuple[str, ...], tuple[tuple[str, Node], ...]]:
    """Names and defaults of `py::arg(...)`, in order."""
    names: list[str] = []
    defaults: list[tuple[str, Node]] = []
    for at, token in enumerate(tokens[:-3]):
        if token.text in ("arg", "arg_v") and tokens[at + 2].kind == "string":
            names.append(tokens[at + 2].text.strip('"'))
            if at + 4 < len(tokens) and tokens[at + 4].text == "=":
                ends = [place for place in range(at + 5, len(tokens)) if tokens[place].text == ","]
                value = Parser(tokens[at + 5 : ends[0] if ends else len(tokens)]).expression()
                defaults.append((names[-1], value))
    return tuple(names), tuple(defaults)


def no_kernel(detail: str) -> NotTakenError:
    """The error for an answer without a kernel of its own."""
    return NotTakenError(Reason.NO_KERNEL, detail)
