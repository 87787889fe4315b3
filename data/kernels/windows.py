"""Where an output element's window lies: for kernels of convolutions and pools in one to three directions."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

#: Of each direction: input extent, output extent, and variables for a window's start and a position in it.
_VOLUME = (("d", "r", "z0", "slice"), ("h", "p", "y0", "row"), ("w", "q", "x0", "column"))
_LINE = (("l", "q", "x0", "column"),)


@dataclass(frozen=True)
class Axis:
    """One direction."""

    extent: str
    out: str
    start: str
    place: str
    size: int
    stride: int
    padding: int
    dilation: int


@dataclass(frozen=True)
class Window:
    """The windows of a node, in all directions.

    That of a transposed convolution has the input positions which that output element is scattered to from:
    every `stride`-th, so that not every place of the window has one.
    """

    axes: tuple[Axis, ...]
    transposed: bool

    @property
    def area(self) -> int:
        """Places of a window."""
        return prod(axis.size for axis in self.axes)

    @property
    def outputs(self) -> str:
        """Output positions of a channel."""
        return " * ".join(axis.out for axis in self.axes)

    def coordinate(self, index: str, number: int) -> str:
        """Output position in a direction, from the flat index of an output element."""
        inner = [axis.out for axis in self.axes[number + 1 :]]
        divisor = f"({' * '.join(inner)})" if len(inner) > 1 else "".join(inner)
        return f"{index} / {divisor} % {self.axes[number].out}" if inner else f"{index} % {self.axes[-1].out}"

    def starts(self, k: Kernel, index: str) -> None:
        """Declare where the window of an output element begins."""
        for number, axis in enumerate(self.axes):
            place = self.coordinate(index, number)
            offset = (
                f"{place} + {axis.padding}"
                if self.transposed
                else f"{place} * {axis.stride} - {axis.padding}"
            )
            k.line(f"int {axis.start} = {offset};")

    def places(self, k: Kernel, t: str) -> None:
        """Declare the input position at a place of the window, the numbers of which begin at 0."""
        for number, axis in enumerate(self.axes):
            inner = prod(other.size for other in self.axes[number + 1 :])
            step = f"{t} / {inner}" + (f" % {axis.size}" if number else "")
            offset = "" if axis.size == 1 else f" {'-' if self.transposed else '+'} {step} * {axis.dilation}"
            k.line(f"int {axis.place} = {axis.start}{offset};")

    def outside(self) -> str:
        """The condition that there is no input element at the place; empty if there always is one."""
        found = []
        for axis in self.axes:
            if self.transposed:
                found += [f"{axis.place} < 0"]
                found += [f"{axis.place} % {axis.stride} != 0"] if axis.stride > 1 else []
                found += [f"{axis.place} / {axis.stride} >= {axis.extent}"]
            elif axis.padding:
                found += [f"{axis.place} < 0", f"{axis.place} >= {axis.extent}"]
        return " || ".join(found)

    def flat(self, plane: str) -> str:
        """Flat index of the input element at the place."""
        index = plane
        for axis in self.axes:
            step = f"{axis.place} / {axis.stride}" if self.transposed and axis.stride > 1 else axis.place
            index = (
                f"({index}) * {axis.extent} + {step}" if " " in index else f"{index} * {axis.extent} + {step}"
            )
        return index


def window(k: Kernel, directions: int, *, transposed: bool = False) -> Window:
    """The windows of the kernel's node, by its attributes; `extra` makes the last direction longer."""
    given = {name: int(value) for name, value in k.node.attributes}
    names = _LINE if directions == 1 else _VOLUME[-directions:]
    sizes = [given["size"]] * (directions - 1) + [given["size"] + given.get("extra", 0)]
    steps = given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1)
    return Window(tuple(Axis(*own, size, *steps) for own, size in zip(names, sizes, strict=True)), transposed)


def extents(directions: int, *, plain: bool = False) -> tuple[str, str, str]:
    """Input extents, window sizes and output extents of a signature; see `window` for the attributes.

    Those of `plain` windows have no `extra`, and no `dilation`.
    """
    names = _LINE if directions == 1 else _VOLUME[-directions:]
    sizes = ["size"] * (directions - 1) + ["size" if plain or directions == 1 else "size + extra"]
    factor = "" if plain else "dilation * "
    outs = [
        f"{out} = ({extent} + 2 * padding - {factor}({size} - 1) - 1) / stride + 1"
        for (extent, out, _, _), size in zip(names, sizes, strict=True)
    ]
    return ", ".join(own[0] for own in names), ", ".join(sizes), ", ".join(outs)


def transposed_extents(directions: int) -> tuple[str, str, str]:
    """As `extents`, of a transposed convolution."""
    names = _LINE if directions == 1 else _VOLUME[-directions:]
    inputs, sizes, _ = extents(directions)
    outs = [
        f"{out} = ({extent} - 1) * stride - 2 * padding + dilation * ({size} - 1) + output_padding + 1"
        for (extent, out, _, _), size in zip(names, sizes.split(", "), strict=True)
    ]
    return inputs, sizes, ", ".join(outs)


def area(sizes: str) -> str:
    """Places of a window of these sizes, as `flops` counts them."""
    return " * ".join(f"({size})" for size in sizes.split(", "))
