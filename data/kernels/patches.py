"""Kernels whose result elements each look at a window of one channel: pools and depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from data.kernels.windows import Axis, Window, window
from data.operators.operator import Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


@dataclass(frozen=True)
class Patch:
    """How a window is folded."""

    start: Callable[[Kernel], str]
    """Where the accumulator `s` begins; `channel` is the channel."""
    update: Callable[[Kernel, str, str], str]
    """The statement that folds an element, at a place of the window that is the second text."""
    finish: Callable[[Kernel, Window], str]
    """The result, in terms of `s`."""
    beyond: str = "0.f"
    """What stands for an element beyond the edges, without any influence."""


def _mean(k: Kernel, place: Window) -> str:
    """The sum over the places that count: with `count_include_pad` all, without those inside."""
    if k.attributes("count_include_pad")[0] or not place.axes[0].padding:
        return f"s / {place.area}"
    return f"s / ({' * '.join(map(_inside, place.axes))})"


def _inside(axis: Axis) -> str:
    return f"(min({axis.start} + {axis.size}, {axis.extent}) - max({axis.start}, 0))"


def _product(k: Kernel, x: str, t: str) -> str:
    area = window(k, len(k.operator.shapes.operands[0].shape) - 2).area
    return f"s += {x} * {k.read('weight', f'channel * {area} + {t}')};"


MAXIMUM = Patch(
    lambda k: "-INFINITY", lambda k, x, t: f"s = fmaxf(s, {x});", lambda k, place: "s", "-INFINITY"
)
MEAN = Patch(lambda k: "0.f", lambda k, x, t: f"s += {x};", _mean)
DEPTHWISE = Patch(lambda k: k.read("bias", "channel"), _product, lambda k, place: "s")


def writers(directions: int, patch: Patch) -> dict[KernelStyle, Writer]:
    """All styles, for windows in so many directions."""

    def of(writer: Callable[[Kernel, Window, Patch], None]) -> Writer:
        return lambda k: writer(k, window(k, directions), patch)

    return {
        KernelStyle.PER_OUTPUT: of(_direct),
        KernelStyle.GRID_STRIDE: of(_strided),
        KernelStyle.SHARED: of(_tiled),
    }


def _direct(k: Kernel, place: Window, patch: Patch) -> None:
    """One thread per output element."""
    k.threads("i", k.count())
    _walk(k, place, patch)


def _strided(k: Kernel, place: Window, patch: Patch) -> None:
    """A fixed grid whose threads step over the output."""
    k.launch("64", "128")
    with k.block(f"for (int i = blockIdx.x * 128 + threadIdx.x; i < {k.count()}; i += 64 * 128)"):
        _walk(k, place, patch)


def _walk(k: Kernel, place: Window, patch: Patch) -> None:
    """Fold the window of output element i."""
    place.starts(k, "i")
    k.line(f"int plane = i / ({place.outputs}), channel = plane % c;", f"float s = {patch.start(k)};")
    with k.block(f"for (int t = 0; t < {place.area}; ++t)"):
        place.places(k, "t")
        if place.outside():
            k.line(f"if ({place.outside()}) continue;")
        k.line(patch.update(k, k.load("x", place.flat("plane")), "t"))
    k.store("i", patch.finish(k, place))


def _tiled(k: Kernel, place: Window, patch: Patch) -> None:
    """A block loads what its 16 x 8 outputs (128 in a line) need into shared memory, slice by slice."""
    across, down = (128, 1) if len(place.axes) == 1 else (16, 8)
    tile = _Tile(place, across, down)
    slices = [f"blockIdx.z % {axis.out}" for axis in place.axes[:-2]]
    planes = " * ".join(["b * c", *(axis.out for axis in place.axes[:-2])])
    rows = [f"ceil_div({axis.out},{down})" for axis in place.axes[-2:-1]] or ["1"]
    k.launch(f"dim3(ceil_div(q,{across}),{rows[0]},{planes})", f"dim3({across},{down})")
    k.line(
        f"__shared__ float tile[{tile.height * tile.width}];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        f"int i = blockIdx.x * {across} + tx, j = blockIdx.y * {down} + ty;",
        f"int plane = blockIdx.z{f' / {place.axes[0].out}' if slices else ''}, channel = plane % c;",
    )
    for axis, output in zip(place.axes, [*slices, "j", "i"][-len(place.axes) :], strict=True):
        k.line(f"int {axis.start} = {output} * {axis.stride} - {axis.padding};")
    k.line(f"float s = {patch.start(k)};")
    if slices:
        with k.block(f"for (int step = 0; step < {place.axes[0].size}; ++step)"):
            k.line(f"int slice = z0 + step * {place.axes[0].dilation};")
            tile.fold(k, patch, f"step * {tile.area} + ")
    else:
        tile.fold(k, patch, "")
    fits = " && ".join(["i < q", *(f"j < {axis.out}" for axis in place.axes[-2:-1])])
    row = f"(blockIdx.z * {place.axes[-2].out} + j)" if len(place.axes) > 1 else "blockIdx.z"
    with k.block(f"if ({fits})"):
        k.store(f"{row} * q + i", patch.finish(k, place))


@dataclass(frozen=True)
class _Tile:
    """What a block needs of one slice, for its outputs."""

    place: Window
    across: int
    down: int

    @property
    def width(self) -> int:
        return _reach(self.place.axes[-1], self.across)

    @property
    def height(self) -> int:
        return _reach(self.place.axes[-2], self.down) if len(self.place.axes) > 1 else 1

    @property
    def area(self) -> int:
        return prod(axis.size for axis in self.place.axes[-2:])

    def fold(self, k: Kernel, patch: Patch, before: str) -> None:
        """Load the tile, and fold each thread's window into `s`."""
        last = self.place.axes[-1]
        whole, threads = self.height * self.width, self.across * self.down
        with k.block(f"for (int e = ty * {self.across} + tx; e < {whole}; e += {threads})"):
            k.line(f"int column = x0 - tx * {last.stride} + e % {self.width};")
            for axis in self.place.axes[-2:-1]:
                k.line(f"int row = y0 - ty * {axis.stride} + e / {self.width};")
            inside = " && ".join(
                f"{axis.place} >= 0 && {axis.place} < {axis.extent}" for axis in self.place.axes
            )
            k.line(f"bool inside = {inside};")
            x = k.read("x", self.place.flat("plane"), where="inside", otherwise=patch.beyond)
            k.line(f"tile[e] = {x};")
        k.line("__syncthreads();")
        with k.block(f"for (int t = 0; t < {self.area}; ++t)"):
            column = f"tx * {last.stride} + t % {last.size} * {last.dilation}"
            for axis in self.place.axes[-2:-1]:
                column = f"(ty * {axis.stride} + t / {last.size} * {axis.dilation}) * {self.width} + {column}"
            k.line(patch.update(k, f"tile[{column}]", f"{before}t"))
        k.line("__syncthreads();")


def _reach(axis: Axis, outputs: int) -> int:
    """Input elements that so many outputs in a direction see together."""
    return (outputs - 1) * axis.stride + (axis.size - 1) * axis.dilation + 1
