"""Kernels for elements that are folded together wherever they lie: planes, groups of channels, columns.

As in `folds` an operator states passes and the expression of a result's element; both may use `span`, the
number of elements of a segment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.kernels.folds import shared_merge
from data.operators.operator import Fold, Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


@dataclass(frozen=True)
class Segments:
    """Which elements belong together, in the operator's dimensions, with attributes in braces."""

    count: str
    """How many segments there are."""
    span: str
    """Elements of each."""
    index: str
    """Flat index of element j of segment r."""
    scales: str = ""
    """Index of the further operands that belong to element i, which is element j of segment r."""


def writers(segments: Segments) -> dict[KernelStyle, Writer]:
    """All styles; an operator with one result for each segment has that stored at its number."""

    def of(writer: Callable[[Kernel, _Laid], None]) -> Writer:
        return lambda k: writer(k, _Laid(k, segments))

    return {
        KernelStyle.PER_OUTPUT: of(_serial),
        KernelStyle.SHARED: of(_block),
        KernelStyle.SHUFFLE: of(_warp),
    }


class _Laid:
    """The segments of one kernel's node."""

    def __init__(self, k: Kernel, segments: Segments) -> None:
        given = {name: str(value) for name, value in k.node.attributes}
        self.count, self.span = segments.count.format(**given), segments.span.format(**given)
        self.index, self.scales = segments.index.format(**given), segments.scales.format(**given)

    def fold(self, k: Kernel, fold: Fold, first: str, step: str) -> None:
        """Declare the accumulator, and fold every so many elements into it."""
        k.line(f"float {fold.accumulator} = {fold.start};")
        with k.block(_elements(first, step)):
            k.line(f"int i = {self.index};")
            k.line(fold.update.format(term=fold.term.format(x=k.load("x", "i"))))

    def finish(self, k: Kernel, first: str, step: str) -> None:
        """Store the results of every so many elements, or the one of the segment."""
        if "{x}" not in k.operator.cuda:
            k.store("r", k.operator.cuda, when="" if first == "0" else f"{first} == 0")
            return
        with k.block(_elements(first, step)):
            k.line(f"int i = {self.index};")
            further = {name: k.read(name, self.scales) for name in k.operator.operands if name != "x"}
            k.store("i", k.define(k.operator.cuda.format(x=k.load("x", "i"), **further)))


def _elements(first: str, step: str) -> str:
    """The elements of a segment, every so many from one on."""
    return f"for (int j = {first}; j < span; {'++j' if step == '1' else f'j += {step}'})"


def _serial(k: Kernel, laid: _Laid) -> None:
    """One thread per segment."""
    k.threads("r", laid.count, 64)
    k.line(f"int span = {laid.span};")
    for fold in k.operator.folds:
        laid.fold(k, fold, "0", "1")
    laid.finish(k, "0", "1")


def _warp(k: Kernel, laid: _Laid) -> None:
    """One warp per segment; partial folds meet through shuffles."""
    k.launch(laid.count, "32")
    k.line(f"int r = blockIdx.x, span = {laid.span};")
    for fold in k.operator.folds:
        laid.fold(k, fold, "threadIdx.x", "32")
        other = f"__shfl_xor_sync(0xffffffff, {fold.accumulator}, d)"
        k.line(f"for (int d = 16; d > 0; d /= 2) {fold.update.format(term=other)}")
    laid.finish(k, "threadIdx.x", "32")


def _block(k: Kernel, laid: _Laid) -> None:
    """One block of 128 threads per segment; partial folds meet in shared memory."""
    k.launch(laid.count, "128")
    k.line("__shared__ float p[128];", f"int r = blockIdx.x, span = {laid.span};")
    for fold in k.operator.folds:
        laid.fold(k, fold, "threadIdx.x", "128")
        shared_merge(k, fold, 128)
        k.line("__syncthreads();", f"{fold.accumulator} = p[0];", "__syncthreads();")
    laid.finish(k, "threadIdx.x", "128")
