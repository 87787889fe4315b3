"""Kernels that fold rows [m, n]: for reductions, softmax and norms, which state nothing but their folds.

A row is folded in as many passes as its operator has folds; the elementwise nodes before it are
recomputed in every pass, which costs arithmetic but no scratch memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.operators.operator import Fold, Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

#: The elements of row r, for one thread.
SERIAL = "for (int i = r * n; i < r * n + n; ++i)"


def total(accumulator: str = "s", term: str = "{x}") -> Fold:
    """A sum."""
    return Fold(accumulator, "0.f", accumulator + " += {term};", term)


def maximum(accumulator: str = "s") -> Fold:
    """A maximum."""
    return Fold(accumulator, "-INFINITY", f"{accumulator} = fmaxf({accumulator}, {{term}});")


def minimum(accumulator: str = "s") -> Fold:
    """A minimum."""
    return Fold(accumulator, "INFINITY", f"{accumulator} = fminf({accumulator}, {{term}});")


def per_row(k: Kernel) -> None:
    """One thread per row, in blocks of 64."""
    k.threads("r", "m", 64)
    for fold in k.operator.folds:
        _fold(k, fold, SERIAL)
    _finish(k, SERIAL, alone=True)


def row_shuffle(k: Kernel) -> None:
    """One warp per row; partial folds meet through shuffles."""
    k.launch("m", "32")
    k.line("int r = blockIdx.x;")
    for fold in k.operator.folds:
        _fold(k, fold, strided(32))
        k.line(
            "for (int d = 16; d > 0; d /= 2) "
            + fold.update.format(term=f"__shfl_xor_sync(0xffffffff, {fold.accumulator}, d)")
        )
    _finish(k, strided(32))


def row_shared(k: Kernel) -> None:
    """One block of 128 threads per row; partial folds meet in shared memory."""
    k.launch("m", "128")
    k.line("__shared__ float p[128];", "int r = blockIdx.x;")
    for fold in k.operator.folds:
        _fold(k, fold, strided(128))
        shared_merge(k, fold, 128)
        if not _reduces(k):
            k.line("__syncthreads();", f"{fold.accumulator} = p[0];", "__syncthreads();")
    _finish(k, strided(128))


def shared_merge(k: Kernel, fold: Fold, threads: int) -> None:
    """Tree reduction over partial folds in the shared array p; thread 0 has the total, and so has p[0]."""
    share = f"p[threadIdx.x] = {fold.accumulator};"
    k.line(share)
    with k.block(f"for (int d = {threads // 2}; d > 0; d /= 2)"):
        k.line("__syncthreads();")
        with k.block("if (threadIdx.x < d)"):
            k.line(fold.update.format(term="p[threadIdx.x + d]"), share)


def strided(threads: int) -> str:
    """The elements of row r, for one of many threads."""
    return f"for (int i = r * n + threadIdx.x; i < r * n + n; i += {threads})"


def _reduces(k: Kernel) -> bool:
    return len(k.operator.shapes.results[0].shape) == 1


def _fold(k: Kernel, fold: Fold, head: str) -> None:
    """Declares the accumulator and folds the row's elements into it."""
    k.line(f"float {fold.accumulator} = {fold.start};")
    with k.block(head):
        k.line(fold.update.format(term=fold.term.format(x=k.load("x", "i"))))


def _finish(k: Kernel, head: str, *, alone: bool = False) -> None:
    """Stores the row's one result (reduction) or its elements."""
    if _reduces(k):
        k.store("r", k.operator.cuda, when="" if alone else "threadIdx.x == 0")
        return
    with k.block(head):
        k.store("i", k.define(k.operator.cuda.format(x=k.load("x", "i"))))


WRITERS: dict[KernelStyle, Writer] = {
    KernelStyle.UNGUARDED: per_row,
    KernelStyle.PER_OUTPUT: per_row,
    KernelStyle.SHARED: row_shared,
    KernelStyle.SHUFFLE: row_shuffle,
}
