"""What the writers of right kernels share: a kernel with its style, and filling in a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import Template


class Style(StrEnum):
    """How a kernel goes about its work."""

    NAIVE = "naive"
    GRID_STRIDE = "grid-stride"
    TILED = "tiled shared memory"
    SHUFFLES = "warp shuffles"
    VECTOR = "vectorised"
    REGISTERS = "register blocking"
    PARTIALS = "two-launch partials"
    ATOMICS = "atomics"
    LAST_BLOCK = "last block with fence"
    ONLINE = "online or Welford"
    GROUPS = "cooperative groups"


@dataclass(frozen=True)
class Kernel:
    """A right kernel for a program."""

    program: str
    style: Style
    text: str

    @property
    def response(self) -> str:
        """As a model would hand it in."""
        return f"```cuda\n{self.text}```"


#: Names that kernels are called by, in turn.
NAMES = ("kernel", "run", "compute", "fused_kernel", "solve")


def write(program: str, style: Style, template: str, *variants: Mapping[str, object]) -> Iterator[Kernel]:
    """The template once for every variant; `$name` stands for a value, `$k` for the kernel's name."""
    for number, values in enumerate(variants or ({},)):
        name = NAMES[(len(program) + len(style) + number) % len(NAMES)]
        text = template.lstrip("\n")
        for _ in range(3):  # values may hold names themselves
            text = Template(text).substitute({"k": name, **values})
        yield Kernel(program, style, f"#include <float.h>\n{text}" if "FLT_MAX" in text else text)


def blocks(*sizes: int, **others: object) -> tuple[dict[str, object], ...]:
    """Variants that differ in the block size `$B` only."""
    return tuple({"B": size, "W": size // 32, **others} for size in sizes)
