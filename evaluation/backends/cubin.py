"""What a compiled candidate really is: its kernels' parameters from the PTX, its memory from the cubin.

Text can be disguised by macros; what the compiler made of it cannot. Refused here is everything by which a
kernel could carry state from one launch to the next (and so recognise an input it has seen), hold data in
the L2 cache across the flush between two timed launches, or tell by the clock which launch is timed.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluation.verdict import Refusal, Status

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLE = 2
_STATE_SECTIONS = (".nv.global", ".bss", ".data")
_OWN_TABLES = "__cudart_"
#: By its name, by pasting it together, or in inline PTX, a source could write to such a table.
_MAY_NAME_TABLES = re.compile(r"__cudart|##|%:%:|\basm|\b__asm")
_DEVICE_CALLS = {"malloc", "free", "__nv_aligned_device_malloc"}
_CACHE_HINTS = re.compile(r"evict_last|createpolicy|cache_hint|applypriority|discard\.global|L2::evict")
_CLOCKS = re.compile(r"%(?:globaltimer|clock)(?:64|_lo|_hi)?\b")
_WORD = re.compile(r"[\w$]+")
_ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*(?:\((.*?)\))?\s*(?=\.|\{)", re.DOTALL)
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.([a-z]\d+)[^\[]*?(?:\[(\d+)\])?\s*$")


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
class Symbol:
    """One entry of a cubin's symbol table; `section` is empty for an undefined symbol."""

    name: str
    section: str
    size: int


def parameters(ptx: str) -> dict[str, tuple[Parameter, ...]]:
    """Parameters of every kernel in `ptx`, by kernel name."""
    return {name: tuple(_parameters(text or "")) for name, text in _ENTRY.findall(ptx)}


def _parameters(text: str) -> Iterator[Parameter]:
    for line in text.split(","):
        match = _PARAMETER.search(line.strip())
        if match:
            bits = int(match[1][1:])
            yield Parameter(match[1], bits // 8 * int(match[2] or 1))


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


def refuse(cubin: bytes, ptx: str, kernels: Sequence[str], source: str) -> Refusal | None:
    """Refuse a module that lacks a launched kernel, keeps state, allocates, steers L2 or reads a clock.

    NVRTC also emits global variables that are never used, such as every `constexpr int` of a file. Those are
    named once in the PTX, where they are declared; one that the assembler has renamed (inline PTX) is not
    named at all. The tables of its own mathematics (`sinf` of large arguments) are no state either, unless
    `source` may know their names.
    """
    table = symbols(cubin)
    defined = {symbol.name for symbol in table if symbol.section.startswith(".text.")}
    for kernel in kernels:
        if kernel not in defined:
            return _reject(f'the kernel {kernel} is launched but not defined as extern "C" __global__')
    uses = Counter(_WORD.findall(ptx))
    for symbol in table:
        if symbol.name.startswith(_OWN_TABLES) and not _MAY_NAME_TABLES.search(source):
            continue
        if symbol.size and symbol.section.startswith(_STATE_SECTIONS) and uses[symbol.name] != 1:
            return _reject(
                f"the global variable {symbol.name} outlives a launch; use __constant__, an argument or "
                "scratch instead (a string literal, as printf and assert need, is one too)"
            )
        if not symbol.section and symbol.name in _DEVICE_CALLS:
            return _reject("memory from malloc or new outlives a launch; use a scratch buffer instead")
    hint = _CACHE_HINTS.search(ptx)
    if hint:
        return _reject(f"the cache hint {hint[0]} would keep data in L2 between timed launches; remove it")
    clock = _CLOCKS.search(ptx)
    if clock:
        return _reject(f"it reads {clock[0]}: what a kernel computes must not depend on the time")
    return None


def _reject(reason: str) -> Refusal:
    return Refusal(status=Status.REJECTED, reason=reason)
