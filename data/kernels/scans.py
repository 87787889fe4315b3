"""Kernels that run along rows [m, n] and store what they have met so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.kernels.folds import SERIAL, formula
from data.operators.operator import Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

_BACKWARDS = "for (int i = r * n + n - 1; i >= r * n; --i)"
_WHOLE_WARP = "0xffffffff"


@dataclass(frozen=True)
class Scan:
    """What is stored at each place: all terms up to there, merged by an associative function."""

    start: str = "0.f"
    """What changes nothing."""
    merge: str = "+"
    """A sign, or the name of a function of two."""
    backwards: bool = False
    exclusive: bool = False
    """Whether a place's own term is left out."""
    helper: tuple[str, ...] = ()
    """Head and statements of the function, where it is none of CUDA's."""

    def merged(self, left: str, right: str) -> str:
        """Two values, merged."""
        return f"{left} {self.merge} {right}" if self.merge in "+*" else f"{self.merge}({left}, {right})"

    def into(self, target: str, value: str) -> str:
        """A statement that merges a value into a variable."""
        if self.merge in "+*":
            return f"{target} {self.merge}= {value};"
        return f"{target} = {self.merged(target, value)};"


def writers(scan: Scan) -> dict[KernelStyle, Writer]:
    """All styles of a scan. Its terms are the operator's C expression, or the elements of `x`."""

    def along(write: Callable[[Kernel, Scan], None]) -> Writer:
        def written(k: Kernel) -> None:
            if scan.helper:
                with k.helper(scan.helper[0]):
                    k.line(*scan.helper[1:])
            write(k, scan)

        return written

    return {
        KernelStyle.UNGUARDED: along(_serial),
        KernelStyle.PER_OUTPUT: along(_serial),
        KernelStyle.SHUFFLE: along(_warp),
    }


def _term(k: Kernel) -> str:
    return formula(k, k.operator.cuda or "{x}", "i")


def _serial(k: Kernel, scan: Scan) -> None:
    """One thread per row, in blocks of 64."""
    k.threads("r", "m", 64)
    k.line(f"float s = {scan.start};")
    with k.block(_BACKWARDS if scan.backwards else SERIAL):
        if scan.exclusive:
            k.line(f"float t = {_term(k)};")
            k.store("i", "s")
            k.line(scan.into("s", "t"))
        else:
            k.line(scan.into("s", _term(k)))
            k.store("i", "s")


def _warp(k: Kernel, scan: Scan) -> None:
    """One warp per row, 32 elements at a time: an inclusive scan of the warp, and the total so far in s."""
    k.launch("m", "32")
    k.line("int r = blockIdx.x;", f"float s = {scan.start};")
    with k.block("for (int l = 0; l < n; l += 32)"):
        k.line(f"int j = l + threadIdx.x, i = {_index(scan)};", f"float t = {scan.start};")
        with k.block("if (j < n)"):
            k.line(f"t = {_term(k)};")
        with k.block("for (int d = 1; d < 32; d *= 2)"):
            k.line(
                f"float q = __shfl_up_sync({_WHOLE_WARP}, t, d);",
                f"if (threadIdx.x >= d) {scan.into('t', 'q')}",
            )
        own = "t"
        if scan.exclusive:
            own = "q"
            k.line(
                f"float q = __shfl_up_sync({_WHOLE_WARP}, t, 1);", f"if (threadIdx.x == 0) q = {scan.start};"
            )
        k.line(f"float v = {scan.merged('s', own)};")
        with k.block("if (j < n)"):
            k.store("i", "v")
        k.line(scan.into("s", f"__shfl_sync({_WHOLE_WARP}, t, 31)"))


def _index(scan: Scan) -> str:
    return "r * n + n - 1 - j" if scan.backwards else "r * n + j"
