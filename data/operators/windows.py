"""Operators that look through a window: convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _conv2d(k: Kernel) -> None:
    """One thread per output element walks over its window of every channel."""
    size, stride, padding, dilation, groups = k.attributes("size", "stride", "padding", "dilation", "groups")
    k.threads("i", k.count())
    k.line(
        f"int x0 = i % q * {stride} - {padding}, y0 = i / q % p * {stride} - {padding};",
        f"int out_channel = i / (p * q) % ({groups} * o), n = i / (p * q) / ({groups} * o);",
        "int group = out_channel / o;",
        f"float s = {k.read('bias', 'out_channel')};",
    )
    with k.block("for (int channel = 0; channel < c; ++channel)"):
        k.line(f"int plane = (n * {groups} + group) * c + channel;")
        with k.block(f"for (int t = 0; t < {size} * {size}; ++t)"):
            k.line(f"int row = y0 + t / {size} * {dilation}, column = x0 + t % {size} * {dilation};")
            k.line("if (row < 0 || row >= h || column < 0 || column >= w) continue;")
            x = k.load("x", "(plane * h + row) * w + column")
            weight = k.read("weight", f"(out_channel * c + channel) * {size * size} + t")
            k.line(f"s += {x} * {weight};")
    k.store("i", "s")


def _conv2d_tiled(k: Kernel) -> None:
    """An implicit matrix product of weights [o, c * size * size] and windows, in 16 x 16 tiles."""
    size, stride, padding, dilation, groups = k.attributes("size", "stride", "padding", "dilation", "groups")
    area = size * size
    k.launch(f"dim3(ceil_div(p*q,16),ceil_div(o,16),b*{groups})", "dim3(16,16)")
    k.line(
        "__shared__ float left[16][16], right[16][17];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        f"int group = blockIdx.z % {groups}, n = blockIdx.z / {groups};",
        "int channel = blockIdx.y * 16 + ty, pixel = blockIdx.x * 16 + tx;",
        f"int inner = c * {area};",
        "float s = 0.f;",
    )
    with k.block("for (int l = 0; l < inner; l += 16)"):
        weight = k.read(
            "weight", "(group * o + channel) * inner + l + tx", where="channel < o && l + tx < inner"
        )
        k.line(f"left[ty][tx] = {weight};")
        k.line(
            f"int place = l + ty, t = place % {area};",
            f"int row = pixel / q * {stride} - {padding} + t / {size} * {dilation};",
            f"int column = pixel % q * {stride} - {padding} + t % {size} * {dilation};",
            "bool inside = place < inner && pixel < p * q;",
            "inside = inside && row >= 0 && row < h && column >= 0 && column < w;",
            f"int plane = (n * {groups} + group) * c + place / {area};",
        )
        k.line(f"right[ty][tx] = {k.read('x', '(plane * h + row) * w + column', where='inside')};")
        k.line(
            "__syncthreads();",
            "for (int j = 0; j < 16; ++j) s += left[ty][j] * right[j][tx];",
            "__syncthreads();",
        )
    with k.block("if (channel < o && pixel < p * q)"):
        k.line("int out_channel = group * o + channel;")
        k.line(f"s += {k.read('bias', 'out_channel')};")
        k.store(f"(n * {groups} * o + out_channel) * p * q + pixel", "s")


CONV2D = Operator(
    "conv2d",
    "F.conv2d({x}, {weight}, {bias}, stride={stride}, padding={padding}, dilation={dilation}, "
    "groups={groups})",
    "x[b, groups * c, h, w], weight[groups * o, c, size, size], bias[groups * o] -> out[b, groups * o, "
    "p = (h + 2 * padding - dilation * (size - 1) - 1) / stride + 1, "
    "q = (w + 2 * padding - dilation * (size - 1) - 1) / stride + 1]",
    flops="2 * numel(out) * c * size * size",
    attributes={"size": (3, 1, 5), "stride": (1, 2), "padding": (0, 1), "dilation": (1, 2), "groups": (1, 2)},
    writers={KernelStyle.PER_OUTPUT: _conv2d, KernelStyle.SHARED: _conv2d_tiled},
)
