"""What PTX says of a compiled source: its kernels, its variables, and whether anything may change them.

Read as text. Inline PTX stands in it as it was written, so whatever is not understood counts as a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*(?:\((.*?)\))?\s*((?:\.\w+[^{;]*)?)(?=\{|;)", re.DOTALL)
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.([a-z]\d+)[^\[]*?(?:\[(\d+)\])?\s*$")
_BOUND = re.compile(r"\.(?:maxntid|reqntid)\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VARIABLE = re.compile(
    r"\.(?P<space>global|const|shared)\s+(?:\.\w+(?:\([^)]*\))?(?:\s+\d+)?\s+)*?\.[a-z](?P<bits>\d+)\s+"
    r"(?P<name>[\w$]+)\s*(?P<extents>(?:\[\d*\]\s*)*)(?=[;=])"
)
_LINKING = re.compile(r"(?:\.(?:extern|visible|weak|common)\s+)*\Z")
_MAX_BEFORE = 64
_EXTERN_FUNCTION = re.compile(r"\.extern\s+\.func\s*(?:\([^)]*\)\s*)?([\w$]+)")
_STATEMENT = re.compile(r"[\s{}]*(?:[\w$]+:[\s{}]*)*(?:@!?[\w$%]+\s+)?([^;]+);")
_OPERANDS = re.compile(r"(\S+)\s*((?:\{[^}]*\}|\([^)]*\)|[^,])*),?(.*)", re.DOTALL)
_INITIAL_VALUE = re.compile(r"\.\w+\s+[\w$]+\s*(?:\[\d*\]\s*)*=([^;]*);")
_FUNCTION = re.compile(r"\.(?:func|entry)\b")
_NAME = re.compile(r"[\w$%]+")
#: What only reads a string that it is given: the device's own library.
_READERS = frozenset({"vprintf", "__assertfail"})
_READS = re.compile(r"(?:ld|ldu|setp)\.")
_WRITES = re.compile(r"(?:st|red|atom|cp|multimem|discard|applypriority|tensormap|mbarrier)\.")


@dataclass(frozen=True)
class Parameter:
    """One kernel parameter as PTX declares it: `u64`, `f32`, ..., or `b8` with the bytes of a struct."""

    type: str
    size: int

    @property
    def is_float(self) -> bool:
        """Whether the argument is passed as a floating-point number."""
        return self.type[0] == "f"

    @property
    def is_struct(self) -> bool:
        """Whether it is passed by value as a struct, which a launch line cannot do."""
        return self.type == "b8" and self.size != 1


@dataclass(frozen=True)
class Kernel:
    """One entry point."""

    symbol: str
    """Its name in the module."""
    parameters: tuple[Parameter, ...]
    max_threads: int | None
    """Threads of a block that `__launch_bounds__` promises not to exceed."""


@dataclass(frozen=True)
class Variable:
    """A variable of the module (or of a function) in a state space that lives longer than a thread."""

    name: str
    space: str
    """`global`, `const` or `shared`."""
    size: int
    """In bytes; 0 for an array without an extent."""
    is_extern: bool


def kernels(ptx: str) -> dict[str, Kernel]:
    """Every kernel, by its name in the module."""
    return {
        name: Kernel(name, tuple(_parameters(text or "")), _bound(directives))
        for name, text, directives in _ENTRY.findall(ptx)
    }


def variables(ptx: str) -> list[Variable]:
    """All variables in global, constant and shared memory."""
    text = _COMMENT.sub("", ptx)
    variables = []
    for found in _VARIABLE.finditer(text):
        before = text[max(0, found.start() - _MAX_BEFORE) : found.start()]
        if not before or before[-1].isspace() or before[-1] in ";{}":  # no `ld.global`
            linking = _LINKING.search(before)
            is_extern = linking is not None and ".extern" in linking.group()
            variables.append(Variable(found["name"], found["space"], _size(found), is_extern))
    return variables


def undefined_functions(ptx: str) -> list[str]:
    """Functions that are called and not defined, by their names in the module."""
    return _EXTERN_FUNCTION.findall(ptx)


def is_used(ptx: str, name: str) -> bool:
    """Whether the variable `name` is named anywhere but in its declaration; most of a header's are not."""
    pattern = rf"(?<![\w$]){re.escape(name)}(?![\w$])"
    return ptx.count(name) > 1 and len(re.findall(pattern, _COMMENT.sub("", ptx))) > 1


def may_change(ptx: str, name: str) -> bool:
    """Whether a statement may write to the variable `name`, or lets its address go where that is not seen.

    Followed are the registers that its address gets into, through any arithmetic. Loads are harmless, and so
    is handing it to printf or assert, which only read.
    """
    text = _COMMENT.sub("", ptx)
    if any(name in _names(value) for value in _INITIAL_VALUE.findall(text)):
        return True  # another variable has its address
    return any(_function_changes(function, name) for function in _FUNCTION.split(text) if name in function)


def _function_changes(text: str, name: str) -> bool:
    """`may_change` of one function: registers are its own."""
    operations = [
        (found[1], _names(found[2]), _names(found[3]))
        for found in (_OPERANDS.fullmatch(statement) for statement in _STATEMENT.findall(text))
        if found and not found[1].startswith(".")
    ]
    holders = {name}
    while True:
        known = len(holders)
        passed = False  # to the next call
        for opcode, first, others in operations:
            if opcode.startswith(("call", "ret")):
                if passed and not _READERS & (first | others):
                    return True
                passed = False
            if opcode.startswith("st.param") and holders & others:
                passed = True
            elif holders & (first | others) and (_WRITES.match(opcode) or opcode.startswith("call")):
                return True
            elif holders & others and not _READS.match(opcode):
                holders |= first
        if passed:
            return True
        if len(holders) == known:
            return False


def _names(text: str) -> set[str]:
    return set(_NAME.findall(text))


def _parameters(text: str) -> Iterator[Parameter]:
    for line in text.split(","):
        match = _PARAMETER.search(line.strip())
        if match:
            bits = int(match[1][1:])
            yield Parameter(match[1], bits // 8 * int(match[2] or 1))


def _bound(directives: str) -> int | None:
    found = _BOUND.search(directives)
    return int(found[1]) * int(found[2] or 1) * int(found[3] or 1) if found else None


def _size(found: re.Match[str]) -> int:
    size = int(found["bits"]) // 8
    for extent in re.findall(r"\[(\d*)\]", found["extents"]):
        size *= int(extent or 0)
    return size
