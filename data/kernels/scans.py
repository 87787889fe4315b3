"""Kernels for running sums along rows [m, n]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels.folds import SERIAL
from data.operators.operator import Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def serial(k: Kernel) -> None:
    """One thread per row, in blocks of 64."""
    k.threads("r", "m", 64)
    k.line("float s = 0.f;")
    with k.block(SERIAL):
        k.line(f"s += {k.load('x', 'i')};")
        k.store("i", "s")


def warp(k: Kernel) -> None:
    """One warp per row, 32 elements at a time: an inclusive scan of the warp, and the total so far in s."""
    k.launch("m", "32")
    k.line("int r = blockIdx.x;", "float s = 0.f;")
    with k.block("for (int l = 0; l < n; l += 32)"):
        k.line("int j = l + threadIdx.x, i = r * n + j;", "float t = 0.f;")
        with k.block("if (j < n)"):
            k.line(f"t = {k.load('x', 'i')};")
        with k.block("for (int d = 1; d < 32; d *= 2)"):
            k.line("float q = __shfl_up_sync(0xffffffff, t, d);", "if (threadIdx.x >= d) t += q;")
        k.line("float v = s + t;")
        with k.block("if (j < n)"):
            k.store("i", "v")
        k.line("s += __shfl_sync(0xffffffff, t, 31);")


WRITERS: dict[KernelStyle, Writer] = {
    KernelStyle.UNGUARDED: serial,
    KernelStyle.PER_OUTPUT: serial,
    KernelStyle.SHUFFLE: warp,
}
