"""Operators that move the pixels of images: borders, enlargement, and channels that become pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.operators.operator import Attribute, Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _pad(k: Kernel) -> None:
    """One thread per output element, which has an input element unless it lies in the border."""
    left, top, value = k.attributes("left", "top", "value")
    k.threads("i", k.count())
    k.line(
        f"int column = i % q - {left}, row = i / q % p - {top}, plane = i / (p * q);",
        "bool inside = column >= 0 && column < w && row >= 0 && row < h;",
    )
    x = k.read("x", "(plane * h + row) * w + column", where="inside", otherwise=f"{value}f")
    k.store("i", x)


def _pad_rows(k: Kernel) -> None:
    """A warp per row of the output; rows of the border are filled without a look at the input."""
    left, top, value = k.attributes("left", "top", "value")
    k.launch("b * c * p", "32")
    k.line(f"int row = blockIdx.x % p - {top}, from = (blockIdx.x / p * h + row) * w;")
    with k.block("for (int j = threadIdx.x; j < q; j += 32)"):
        k.line(f"int column = j - {left};")
        inside = "row >= 0 && row < h && column >= 0 && column < w"
        x = k.read("x", "from + column", where=inside, otherwise=f"{value}f")
        k.store("blockIdx.x * q + j", x)


_MIRRORED = (
    "int column = abs({x} - {left}), row = abs({y} - {top});",
    "if (column >= w) column = 2 * w - 2 - column;",
    "if (row >= h) row = 2 * h - 2 - row;",
)


def _reflect(k: Kernel) -> None:
    """One thread per output element, whose place is mirrored at the edges."""
    left, top = k.attributes("left", "top")
    k.threads("i", k.count())
    k.line(*(line.format(x="i % q", y="i / q % p", left=left, top=top) for line in _MIRRORED))
    k.store("i", k.load("x", "(i / (p * q) * h + row) * w + column"))


def _reflect_strided(k: Kernel) -> None:
    """A fixed grid whose threads step over the output."""
    left, top = k.attributes("left", "top")
    k.launch("64", "128")
    with k.block(f"for (int i = blockIdx.x * 128 + threadIdx.x; i < {k.count()}; i += 64 * 128)"):
        k.line(*(line.format(x="i % q", y="i / q % p", left=left, top=top) for line in _MIRRORED))
        k.store("i", k.load("x", "(i / (p * q) * h + row) * w + column"))


def _nearest(k: Kernel) -> None:
    """One thread per output element."""
    (scale,) = k.attributes("scale")
    k.threads("i", k.count())
    k.line(f"int column = i % q / {scale}, row = i / q % p / {scale};")
    k.store("i", k.load("x", "(i / (p * q) * h + row) * w + column"))


def _nearest_spread(k: Kernel) -> None:
    """One thread per input element, which it loads once and stores to all its places."""
    (scale,) = k.attributes("scale")
    k.threads("i", "b * c * h * w")
    k.line(f"int first = i / w * {scale} * q + i % w * {scale};", f"float value = {k.load('x', 'i')};")
    with k.block(f"for (int t = 0; t < {scale} * {scale}; ++t)"):
        k.store(f"first + t / {scale} * q + t % {scale}", "value")


def _shuffle(k: Kernel) -> None:
    """One thread per output element, which looks for its channel."""
    (scale,) = k.attributes("scale")
    k.threads("i", k.count())
    k.line(
        "int column = i % q, row = i / q % p, plane = i / (p * q);",
        f"int channel = plane * {scale} * {scale} + row % {scale} * {scale} + column % {scale};",
    )
    k.store("i", k.load("x", f"(channel * h + row / {scale}) * w + column / {scale}"))


def _shuffle_scattered(k: Kernel) -> None:
    """One thread per input element: reads in order, writes to the place of the pixel."""
    (scale,) = k.attributes("scale")
    k.threads("i", k.count())
    k.line(
        "int column = i % w, row = i / w % h, channel = i / (h * w);",
        f"int part = channel % ({scale} * {scale}), plane = channel / ({scale} * {scale});",
        f"int to = (plane * p + row * {scale} + part / {scale}) * q + column * {scale} + part % {scale};",
    )
    k.store("to", k.load("x", "i"))


_BORDERED = "x[b, c, h, w] -> out[b, c, p = h + top + bottom, q = w + left + right]"
_BORDERS: dict[str, tuple[Attribute, ...]] = {
    "left": (1, 2), "right": (1, 0), "top": (1, 3), "bottom": (1, 2)
}  # fmt: skip
_ENLARGED = "-> out[b, c, p = scale * h, q = scale * w]"

OPERATORS = (
    Operator(
        "pad",
        "F.pad({x}, ({left}, {right}, {top}, {bottom}), value={value})",
        _BORDERED,
        flops=0,
        attributes=_BORDERS | {"value": (0.0, 1.5)},
        writers={KernelStyle.PER_OUTPUT: _pad, KernelStyle.SHUFFLE: _pad_rows},
    ),
    Operator(
        "pad_reflect",
        'F.pad({x}, ({left}, {right}, {top}, {bottom}), mode="reflect")',
        _BORDERED,
        flops=0,
        attributes={name: (1, 0) for name in _BORDERS},
        writers={KernelStyle.PER_OUTPUT: _reflect, KernelStyle.GRID_STRIDE: _reflect_strided},
    ),
    Operator(
        "interpolate",
        "F.interpolate({x}, scale_factor={scale})",
        f"x[b, c, h, w] {_ENLARGED}",
        flops=0,
        attributes={"scale": (2, 3)},
        writers={KernelStyle.PER_OUTPUT: _nearest, KernelStyle.REGISTERS: _nearest_spread},
    ),
    Operator(
        "pixel_shuffle",
        "F.pixel_shuffle({x}, {scale})",
        f"x[b, c * scale * scale, h, w] {_ENLARGED}",
        flops=0,
        attributes={"scale": (2, 3)},
        writers={KernelStyle.PER_OUTPUT: _shuffle, KernelStyle.GRID_STRIDE: _shuffle_scattered},
    ),
)
