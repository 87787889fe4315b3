"""Kernels that fold rows [m, n]: for reductions, softmax and norms, which state nothing but their folds.

A row is folded in as many passes as its operator has folds; the elementwise nodes before it are
recomputed in every pass, which costs arithmetic but no scratch memory. Besides tensors [m, n], operators take
some of a value per row [m] or per column [n].
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from data.operators.operator import Fold, Writer
from data.settings import KernelStyle
from evaluation.expressions import Size

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

#: The elements of row r, for one thread.
SERIAL = "for (int i = r * n; i < r * n + n; ++i)"


def total(accumulator: str = "s", term: str = "{x}") -> Fold:
    """A sum."""
    return Fold(accumulator, "0.f", accumulator + " += {term};", term)


def product(accumulator: str = "s", term: str = "{x}") -> Fold:
    """A product."""
    return Fold(accumulator, "1.f", accumulator + " *= {term};", term)


def maximum(accumulator: str = "s", term: str = "{x}") -> Fold:
    """A maximum."""
    return Fold(accumulator, "-INFINITY", f"{accumulator} = fmaxf({accumulator}, {{term}});", term)


def minimum(accumulator: str = "s", term: str = "{x}") -> Fold:
    """A minimum."""
    return Fold(accumulator, "INFINITY", f"{accumulator} = fminf({accumulator}, {{term}});", term)


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
        if fold is not k.operator.folds[-1] or not _reduces(k):
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
        k.line(fold.update.format(term=formula(k, fold.term, "i")))


def formula(k: Kernel, text: str, index: str) -> str:
    """A C expression of operands, each loaded at the flat index, its row or its column."""
    wanted = {name for _, name, _, _ in string.Formatter().parse(text)}
    loaded = {}
    for pattern in k.operator.shapes.operands:
        if pattern.name in wanted:
            place = (
                index if len(pattern.shape) == 2 else "r" if pattern.shape == (Size("m"),) else "i - r * n"
            )
            loaded[pattern.name] = k.load(pattern.name, place)
    return text.format(**loaded)


def _finish(k: Kernel, head: str, *, alone: bool = False) -> None:
    """Stores the row's one result (reduction) or its elements."""
    if _reduces(k):
        k.store("r", formula(k, k.operator.cuda, "r"), when="" if alone else "threadIdx.x == 0")
        return
    with k.block(head):
        k.store("i", k.define(formula(k, k.operator.cuda, "i")))


WRITERS: dict[KernelStyle, Writer] = {
    KernelStyle.UNGUARDED: per_row,
    KernelStyle.PER_OUTPUT: per_row,
    KernelStyle.SHARED: row_shared,
    KernelStyle.SHUFFLE: row_shuffle,
}
