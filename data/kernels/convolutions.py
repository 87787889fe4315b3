"""Kernels of convolutions and transposed ones, with groups, in one to three directions.

x [b, groups * c, ...], bias [groups * o], out [b, groups * o, ...]; weights are [groups * o, c, ...], of a
transposed convolution [groups * c, o, ...].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from data.kernels.windows import Window, window
from data.operators.operator import Writer
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def writers(directions: int, *, transposed: bool = False) -> dict[KernelStyle, Writer]:
    """All styles, for a convolution in so many directions."""

    def of(writer: Callable[[Kernel, Window], None]) -> Writer:
        return lambda k: writer(k, window(k, directions, transposed=transposed))

    return {
        KernelStyle.PER_OUTPUT: of(_direct),
        KernelStyle.SHARED: of(_tiled),
        KernelStyle.REGISTERS: of(_blocked),
    }


def _weight(place: Window, channel: str, out_channel: str, t: str) -> str:
    """Flat index of the weight of one channel of a group for one of another, at a place of the window."""
    if place.transposed:
        return f"((group * c + {channel}) * o + {out_channel}) * {place.area} + {t}"
    return f"((group * o + {out_channel}) * c + {channel}) * {place.area} + {t}"


def _direct(k: Kernel, place: Window) -> None:
    """One thread per output element walks over its window of every channel."""
    (groups,) = k.attributes("groups")
    k.threads("i", k.count())
    place.starts(k, "i")
    k.line(
        f"int out_channel = i / ({place.outputs}) % ({groups} * o);",
        f"int n = i / ({place.outputs}) / ({groups} * o);",
        "int group = out_channel / o;",
        f"float s = {k.read('bias', 'out_channel')};",
    )
    with k.block("for (int channel = 0; channel < c; ++channel)"):
        k.line(f"int plane = (n * {groups} + group) * c + channel;")
        with k.block(f"for (int t = 0; t < {place.area}; ++t)"):
            place.places(k, "t")
            if place.outside():
                k.line(f"if ({place.outside()}) continue;")
            x = k.load("x", place.flat("plane"))
            weight = k.read("weight", _weight(place, "channel", "out_channel % o", "t"))
            k.line(f"s += {x} * {weight};")
    k.store("i", "s")


def _tiled(k: Kernel, place: Window) -> None:
    """An implicit matrix product of weights [o, c * area] and windows, in 16 x 16 tiles."""
    (groups,) = k.attributes("groups")
    k.launch(f"dim3(ceil_div({place.outputs},16),ceil_div(o,16),b*{groups})", "dim3(16,16)")
    k.line(
        "__shared__ float left[16][16], right[16][17];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        f"int group = blockIdx.z % {groups}, n = blockIdx.z / {groups};",
        "int channel = blockIdx.y * 16 + ty, pixel = blockIdx.x * 16 + tx;",
        f"int inner = c * {place.area};",
    )
    place.starts(k, "pixel")
    k.line("float s = 0.f;")
    with k.block("for (int first = 0; first < inner; first += 16)"):
        k.line(f"left[ty][tx] = {_weight_at(k, place, 'first + tx')};")
        k.line(f"right[ty][tx] = {_element_at(k, place, 'first + ty')};")
        k.line(
            "__syncthreads();",
            "for (int e = 0; e < 16; ++e) s += left[ty][e] * right[e][tx];",
            "__syncthreads();",
        )
    with k.block(f"if (channel < o && pixel < {place.outputs})"):
        k.line("int out_channel = group * o + channel;", f"s += {k.read('bias', 'out_channel')};")
        k.store(f"(n * {groups} * o + out_channel) * {place.outputs} + pixel", "s")


def _weight_at(k: Kernel, place: Window, m: str) -> str:
    """The weight of `channel` at a place of the inner dimension, zero beyond the edges."""
    index = _weight(place, f"({m}) / {place.area}", "channel", f"({m}) % {place.area}")
    return k.read("weight", index, where=f"channel < o && {m} < inner")


def _element_at(k: Kernel, place: Window, j: str) -> str:
    """The element that `pixel` takes at a place of the inner dimension, zero beyond the edges."""
    (groups,) = k.attributes("groups")
    k.line(f"int j = {j}, t = j % {place.area};")
    place.places(k, "t")
    outside = place.outside()
    k.line(
        f"bool inside = j < inner && pixel < {place.outputs}" + (f" && !({outside});" if outside else ";"),
        f"int plane = (n * {groups} + group) * c + j / {place.area};",
    )
    return k.read("x", place.flat("plane"), where="inside")


def _blocked(k: Kernel, place: Window) -> None:
    """As in tiles, where a thread computes four channels of one position in registers."""
    (groups,) = k.attributes("groups")
    k.launch(f"dim3(ceil_div({place.outputs},32),ceil_div(o,16),b*{groups})", "dim3(32,4)")
    k.line(
        "__shared__ float left[16][8], right[8][32];",
        "int tx = threadIdx.x, ty = threadIdx.y, lane = ty * 32 + tx;",
        f"int group = blockIdx.z % {groups}, n = blockIdx.z / {groups};",
        "int channel = blockIdx.y * 16 + lane / 8, pixel = blockIdx.x * 32 + tx;",
        f"int inner = c * {place.area};",
    )
    place.starts(k, "pixel")
    k.line("float s[4] = {0.f, 0.f, 0.f, 0.f};")
    with k.block("for (int first = 0; first < inner; first += 8)"):
        k.line(f"left[lane / 8][lane % 8] = {_weight_at(k, place, 'first + lane % 8')};")
        with k.block("for (int e = ty; e < 8; e += 4)"):
            k.line(f"right[e][tx] = {_element_at(k, place, 'first + e')};")
        k.line("__syncthreads();")
        with k.block("for (int e = 0; e < 8; ++e)"):
            k.line("for (int v = 0; v < 4; ++v) s[v] += left[ty * 4 + v][e] * right[e][tx];")
        k.line("__syncthreads();")
    with k.block("for (int v = 0; v < 4; ++v)"):
        k.line("int row_channel = blockIdx.y * 16 + ty * 4 + v;")
        with k.block(f"if (row_channel < o && pixel < {place.outputs})"):
            k.line("int out_channel = group * o + row_channel;", f"s[v] += {k.read('bias', 'out_channel')};")
            k.store(f"(n * {groups} * o + out_channel) * {place.outputs} + pixel", "s[v]")
