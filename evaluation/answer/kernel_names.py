"""Which function a launch line means: the kernels that a source declares, and what they are called in C++.

As with nvcc, a kernel needs no `extern "C"`, may lie in a namespace and may be a template, whose arguments
the launch line gives or the buffers' types tell. What a macro makes is not seen here: compilers find it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice

from evaluation.expressions import UnknownNameError
from evaluation.source_text import blank, directives, macros, plain
from evaluation.toolchain import shim_text
from evaluation.verdict import Refusal, Status

MAX_DECLARATIONS = 64
"""Declarations of kernels that are looked at."""
_MAX_SPECIFIERS = 16
"""Words between `__global__` and the kernel's name that are looked at."""
_MAX_HEAD = 4096
"""Characters of a template's or a kernel's parameters that are looked at."""

CPP_TYPES = {
    "float64": "double", "float32": "float", "float16": "__half", "bfloat16": "__nv_bfloat16",
    "int64": "long long", "int32": "int", "int16": "short", "int8": "signed char", "uint8": "unsigned char",
    "bool": "bool",
}  # fmt: skip
"""Types of C++ by dtype."""

_KERNEL = re.compile(r"\b__global__\b")
_SCOPE = re.compile(r"\bnamespace\b(?:\s+(?P<name>[\w:]+))?\s*\{|\bextern\s+(?P<language>\{)|[{}]")
_WORD = re.compile(r"\s*([A-Za-z_]\w*)\s*(?=(?P<next>[(<]?))")
_BRACKET = re.compile(r"[()<>\[\]{},]")
_QUALIFIERS = re.compile(r"\b(?:const|volatile|__restrict__|__restrict|restrict|__grid_constant__)\b")


@dataclass(frozen=True)
class Declaration:
    """One declaration of a kernel."""

    name: str
    position: int
    """Of the name in the text."""
    namespace: str
    """`a::b::`, or nothing."""
    template: tuple[str, ...] | None
    """Parameters of the template that it is."""
    parameters: tuple[str, ...]
    is_instance: bool
    """It declares an instance or a specialisation of a template."""


@lru_cache(maxsize=4)  # a plan for every size asks anew
def declarations(code: str) -> tuple[Declaration, ...]:
    """The kernels that plain text declares outside of macros."""
    return tuple(_declarations(blank(code)))


def _declarations(text: str) -> Iterator[Declaration]:
    for kernel in islice(_KERNEL.finditer(text), MAX_DECLARATIONS):
        begin = max(text.rfind(end, 0, kernel.start()) for end in ";{}") + 1
        word = _WORD.match(text, kernel.end())
        for _ in range(_MAX_SPECIFIERS):
            if word is None or (word["next"] and not word[1].startswith("__")):
                break
            word = _WORD.match(text, _list(text, word.end())[1] if word["next"] else word.end())
        if word is None or not word["next"]:
            continue
        opening = word.end()
        is_instance = word["next"] == "<"
        if is_instance:
            opening = _list(text, opening)[1]
            opening += len(text[opening : opening + _MAX_HEAD]) - len(
                text[opening : opening + _MAX_HEAD].lstrip()
            )
        template = re.search(r"\btemplate\s*(?=<)", text[begin : kernel.start()])
        yield Declaration(
            name=word[1],
            position=word.start(1),
            namespace=_namespace(text, kernel.start()),
            template=_list(text, begin + template.end())[0] if template else None,
            parameters=_list(text, opening)[0],
            is_instance=is_instance,
        )


def _list(text: str, opening: int) -> tuple[tuple[str, ...], int]:
    """The items of the list whose bracket, `(` or `<`, stands at `opening`, and where it ends."""
    items: list[str] = []
    begin, round_depth, angle_depth = opening + 1, 0, 0
    is_round = text[opening : opening + 1] == "("
    for bracket in _BRACKET.finditer(text, opening, opening + _MAX_HEAD):
        sign = bracket.group()
        if sign in "()[]{}":
            round_depth += 1 if sign in "([{" else -1
        elif sign != "," and round_depth == int(is_round):  # within further parentheses < is a comparison
            angle_depth = max(angle_depth + (1 if sign == "<" else -1), 0)
        is_end = round_depth == 0 and (is_round or angle_depth == 0)
        if is_end or (sign == "," and round_depth + angle_depth == 1):
            items.append(text[begin : bracket.start()].strip())
            begin = bracket.end()
        if is_end:
            return tuple(item for item in items if item), begin
    return (), opening + 1


def _namespace(text: str, position: int) -> str:
    """The namespaces that are open at `position`."""
    if "namespace" not in text:
        return ""
    scopes: list[str] = []
    for scope in _SCOPE.finditer(text, 0, position):
        if scope.group() == "}":
            scopes = scopes[:-1]
        else:
            scopes.append(f"{scope['name']}::" if scope["name"] else "")
    return "".join(scopes)


def instance(code: str, name: str, template: Sequence[str], arguments: Sequence[str]) -> str:
    """The kernel `name` as C++ calls it, for arguments of these types (`float*`, `int`): `ops::sum<float>`.

    A name that is not declared is left as it is. Raises UnknownNameError if the declarations do not tell.
    """
    found = [one for one in declarations(code) if one.name == name and not one.is_instance]
    if not found:
        return f"{name}<{', '.join(template)}>" if template else name
    if len({(one.namespace, one.template is None, len(one.parameters)) for one in found}) > 1:
        raise UnknownNameError(f"there are several kernels called {name}; give each a name of its own")
    kernel = found[0]
    if kernel.template is None:
        if template:
            raise UnknownNameError(
                f"the kernel {name} is no template, and the launch line gives it arguments"
            )
        return kernel.namespace + name
    values = _template_arguments(kernel, kernel.template, template, arguments)
    return f"{kernel.namespace}{name}<{', '.join(values)}>"


def _template_arguments(
    kernel: Declaration, parameters: Sequence[str], given: Sequence[str], arguments: Sequence[str]
) -> list[str]:
    """`given`, and for further parameters of the template what the arguments tell, or the defaults."""
    if len(given) > len(parameters):
        counts = f"{len(parameters)} template parameters; the launch line gives {len(given)}"
        raise UnknownNameError(f"the kernel {kernel.name} has {counts}")
    values = list(given)
    for parameter in parameters[len(given) :]:
        declared, _, default = (part.strip() for part in parameter.partition("="))
        kind, _, name = declared.rpartition(" ")
        value = _deduced(name, kernel.parameters, arguments) if kind in ("typename", "class") else None
        if value is None and not default:
            raise UnknownNameError(
                f"the kernel {kernel.name} is a template; give its arguments in the launch line, "
                f"such as `{kernel.name}<float, 256><<<grid, block>>>(...)`, for {declared}"
            )
        values.append(value or default)
    return values


def _deduced(name: str, parameters: Sequence[str], arguments: Sequence[str]) -> str | None:
    """The type that the parameter `name` of a template stands for: a buffer tells it, else a number."""
    found: dict[bool, str] = {}
    for parameter, argument in zip(parameters, arguments, strict=False):
        words = _QUALIFIERS.sub(" ", parameter.partition("=")[0]).replace("*", " * ").split()
        is_buffer = argument.endswith("*")
        if words[:1] == [name] and (words[1:2] == ["*"]) == is_buffer and "*" not in words[1 + is_buffer :]:
            found.setdefault(is_buffer, argument.rstrip("*"))
    return found.get(True) or found.get(False)


def prepared(code: str, kernels: Sequence[str]) -> tuple[str, Mapping[str, str]] | Refusal:
    """The text to compile, and what each of `kernels` (from `instance`) is called in it.

    A kernel that is called like another function (`norm` of CUDA's library) gets a name of its own, for
    C++ would take it for an overload, or for a second definition. Refuses a name that the source does not
    declare.
    """
    found = declarations(code)
    own = set(macros(code))
    hidden = any(one.name in own for one in found) or any(
        name == "define" and "__global__" in text for name, text in directives(code)
    )
    names = {kernel: _bare(kernel) for kernel in kernels}
    declared = {one.name for one in found}
    for name in names.values():
        if name not in declared and not hidden:
            reason = f"a launch line names the kernel {name}, which the source does not define as __global__"
            return Refusal(status=Status.REJECTED, reason=reason)
    text = blank(code)
    shared = _library_names() | {name for name in declared if _is_function(name, text)}
    for name in declared - shared - own:
        if _is_called(name, text, found):
            reason = f"{name} is a kernel, and a __global__ function call must be configured by a launch line"
            return Refusal(status=Status.COMPILE_ERROR, reason=reason)
    new = {name: _new_name(name, code) for name in names.values() if name in shared - own}
    places = sorted((one.position, one.name) for one in found if one.name in new and not one.namespace)
    for position, name in reversed(places):
        code = code[:position] + new[name] + code[position + len(name) :]
    return code, {
        kernel: kernel.replace(name, new[name], 1) if name in new and "::" not in kernel else kernel
        for kernel, name in names.items()
    }


def restricted(code: str, names: Mapping[str, str]) -> dict[str, frozenset[int]]:
    """Positions of the parameters that are `__restrict__`, by kernel; both arguments from `prepared`."""
    positions = {
        one.name: frozenset(at for at, text in enumerate(one.parameters) if "restrict" in text)
        for one in declarations(code)
    }
    return {kernel: positions.get(_bare(name), frozenset()) for kernel, name in names.items()}


def _bare(name: str) -> str:
    """The name of a kernel without its namespaces and template arguments."""
    return name.partition("<")[0].rpartition("::")[2]


def _is_function(name: str, text: str) -> bool:
    """Whether there is a device function that is called like the kernel `name`."""
    return re.search(rf"__device__[^;{{}}()]*\b{name}\s*\(", text) is not None


def _is_called(name: str, text: str, found: Sequence[Declaration]) -> bool:
    """Whether device code calls the kernel `name`, which NVRTC takes and nvcc does not."""
    declared = {one.position for one in found}
    before = r"(?:[;{}(),=?&|!+*/-]|(?<!:):|\b(?:return|else|do))\s*"
    calls = re.finditer(rf"{before}(?P<name>\b{name})\s*(?:<[^;{{}}]*>\s*)?\(", text)
    return any(call.start("name") not in declared for call in calls)


def _new_name(name: str, code: str) -> str:
    """A name that `code` does not use."""
    new = f"{name}_kernel"
    while new in code:
        new += "_"
    return new


@cache
def _library_names() -> frozenset[str]:
    """The words of the shim, which has CUDA's names (and others, which does no harm)."""
    names = set(re.findall(r"[A-Za-z_]\w*", plain(shim_text())))
    return frozenset(names | {f"{name}f" for name in names})
