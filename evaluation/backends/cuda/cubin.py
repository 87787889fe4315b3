"""What a compiled candidate really is: what its PTX does, and what memory its cubin has.

Text can be disguised by macros; what the compiler made of it cannot. Refused here is everything by which a
kernel could carry state from one launch to the next (and so recognise an input it has seen), hold data in
the L2 cache across the flush between two timed launches, or tell by the clock which launch is timed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.backends.cuda import ptx as assembly
from evaluation.backends.cuda.nvrtc import Compiled
from evaluation.backends.cuda.ptx import Kernel
from evaluation.source_text import directives
from evaluation.verdict import Refusal, Status

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLE = 2
_STATE_SECTIONS = (".nv.global", ".bss", ".data")
_PRINTING = {"vprintf", "__assertfail"}
_ALLOCATORS = {"malloc", "free", "__nv_aligned_device_malloc"}
_CACHE_HINTS = ("evict_last", "createpolicy", "cache_hint", "applypriority", "discard.global", "L2::evict")
_SHARED_BYTES, _CONSTANT_BYTES, _THREADS = 48 << 10, 64 << 10, 1024
"""What every kernel may have; beyond it, the assembler decides."""
_OF_FUNCTIONS = re.compile(r"_ZZ|\$|__unnamed_|__cudart_")
"""Variables that belong to a function, the compiler's own, and those of its library."""
_SPECIFIERS = r"(?:[^;{}()]|\([^()]*\)|=\s*\{(?:[^{}]|\{[^{}]*\})*\})*"
"""What may stand between a specifier and a name that it holds for."""
_CLOCKS = re.compile(r"%(?:globaltimer|clock)(?:64|_lo|_hi)?\b")


@dataclass(frozen=True)
class Symbol:
    """One entry of a cubin's symbol table; `section` is empty for an undefined symbol."""

    name: str
    section: str
    size: int


def symbols(cubin: bytes) -> list[Symbol]:
    """The symbol table of an ELF64 little-endian cubin.

    Raises:
        ValueError: if it is no such file.
    """
    if cubin[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    try:
        return list(_symbols(cubin))
    except (struct.error, IndexError) as error:
        raise ValueError(f"a damaged ELF file ({error})") from None


def _symbols(cubin: bytes) -> Iterator[Symbol]:
    (offset,) = struct.unpack_from("<Q", cubin, 40)
    size, count, names_index = struct.unpack_from("<HHH", cubin, 58)
    sections = [_SECTION.unpack_from(cubin, offset + index * size) for index in range(count)]
    section_names = [_string(cubin, sections[names_index][4] + section[0]) for section in sections]
    for section in sections:
        if section[1] != _SYMBOL_TABLE:
            continue
        strings = sections[section[6]][4]
        for start in range(section[4], section[4] + section[5], _SYMBOL.size):
            name, _, _, index, _, extent = _SYMBOL.unpack_from(cubin, start)
            where = section_names[index] if 0 < index < count else ""
            yield Symbol(_string(cubin, strings + name), where, extent)


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode(errors="replace")


def kernels(compiled: Compiled) -> dict[str, Kernel] | Refusal:
    """The kernels that a source was compiled for, by their names there; refuses one that is none."""
    entries = assembly.kernels(compiled.ptx)
    for kernel, symbol in compiled.symbols.items():
        if symbol not in entries:
            return _reject(f"{kernel} is launched, but it is not a __global__ function")
    return {kernel: entries[symbol] for kernel, symbol in compiled.symbols.items()}


def refuse(compiled: Compiled, text: str) -> Refusal | None:
    """Refuse a module, compiled from plain `text`, that keeps state, allocates, steers L2 or reads a clock.

    A variable that no statement may
    change is no state: a table, or a string for printf. One that only the cubin knows (the assembler renames
    those of inline PTX) counts as changed.
    """
    ptx = compiled.ptx
    allocated = _ALLOCATORS & {*assembly.undefined_functions(ptx)}
    if allocated:
        return _reject("memory from malloc or new outlives a launch; use a scratch buffer instead")
    declared = {variable.name for variable in assembly.variables(ptx) if variable.space == "global"}
    kept = {
        symbol.name
        for symbol in (symbols(compiled.cubin) if compiled.cubin else ())
        if symbol.size and symbol.section.startswith(_STATE_SECTIONS)
    }
    for name in sorted(declared | kept):
        if name in declared and not assembly.is_used(ptx, name):
            continue
        if name not in declared or assembly.may_change(ptx, name):
            return _reject(
                f"the global variable {name} outlives a launch; use __constant__, an argument or scratch "
                "instead"
            )
        if _is_host_variable(name, text):
            reason = (
                f"{_own_name(name)} is a host variable, undefined in device code; declare it __constant__"
            )
            return Refusal(status=Status.COMPILE_ERROR, reason=reason)
    hint = next((hint for hint in _CACHE_HINTS if hint in ptx), None)
    if hint:
        return _reject(f"the cache hint {hint} would keep data in L2 between timed launches; remove it")
    clock = _CLOCKS.search(ptx)
    if clock:
        return _reject(f"it reads {clock[0]}: what a kernel computes must not depend on the time")
    return None


def _is_host_variable(symbol: str, text: str) -> bool:
    """Whether nvcc would leave a variable to the host, whose constant arrays NVRTC takes, too."""
    if _OF_FUNCTIONS.match(symbol) or any("__device__" in rest for _, rest in directives(text)):
        return False
    declared = rf"\b__(?:device|managed)__\b{_SPECIFIERS}\b{re.escape(_own_name(symbol))}\b"
    return re.search(declared, text) is None


def _own_name(symbol: str) -> str:
    """The last name in a mangled one: `one` of `_ZN1S3oneE`."""
    name, rest = symbol, re.sub(r"^_ZN?L?", "", symbol)
    while length := re.match(r"\d+", rest):
        end = length.end() + int(length.group())
        name, rest = rest[length.end() : end], rest[end:]
    return name


def needs_assembler(ptx: str) -> bool:
    """Whether only the assembler can tell if `ptx` becomes a cubin: by sizes, or names without definition."""
    sizes = dict.fromkeys(("global", "const", "shared"), 0)
    for variable in assembly.variables(ptx):
        if variable.is_extern and variable.space != "shared":
            return True
        sizes[variable.space] += variable.size
    return (
        sizes["shared"] > _SHARED_BYTES
        or sizes["const"] > _CONSTANT_BYTES
        or bool({*assembly.undefined_functions(ptx)} - _PRINTING - _ALLOCATORS)
        or any((kernel.max_threads or 0) > _THREADS for kernel in assembly.kernels(ptx).values())
    )


def _reject(reason: str) -> Refusal:
    return Refusal(status=Status.REJECTED, reason=reason)
