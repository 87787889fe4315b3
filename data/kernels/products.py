"""Kernels for matrix products, whatever the layout of their operands.

Operands and result lie as index texts say, in which `{row}`, `{column}` and `{inner}` stand for places and
`{batch}` for the number of the product. Beyond the edges tiles hold zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.operators.operator import Writer
from data.settings import KernelStyle
from evaluation.answer.kernel_names import CPP_TYPES

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

_EDGE = 16
"""Of tiles and fragments."""


@dataclass(frozen=True)
class Product:
    """How the operands of a product of [m, k] and [k, n] lie."""

    left: str = "{row} * k + {inner}"
    right: str = "{inner} * n + {column}"
    out: str = "{row} * n + {column}"
    operands: tuple[str, str] = ("x", "y")
    batches: str = ""
    """How many products there are, if not one."""
    rows: str = "m"
    depth: str = "k"
    bias: str = ""
    """Name of an operand [n] that is added."""
    first: str = "0"
    """Of the inner places that are not known to be zero, by `{row}` and `{column}`."""
    behind: str = ""
    """The place behind the last of them, with `{row}` and `{column}` one further; none for the depth."""

    @property
    def grid(self) -> str:
        """Tiles of columns, tiles of rows, products."""
        edges = f"ceil_div(n,{_EDGE}),ceil_div({_close(self.rows)},{_EDGE})"
        return f"dim3({edges},{_close(self.batches)})" if self.batches else f"dim3({edges})"

    def load(self, k: Kernel, side: int, inner: str, place: str) -> str:
        """Load an element of an operand (0: left, 1: right) into a local variable."""
        return k.load(self.operands[side], self._index(side, inner, place))

    def read(self, k: Kernel, side: int, inner: str, place: str, where: str = "") -> str:
        """Read an element of an operand, where a condition holds."""
        return k.read(self.operands[side], self._index(side, inner, place), where)

    def store(self, k: Kernel, row: str, column: str, value: str, batch: str = "z") -> None:
        """Store an element of the result, with the bias."""
        added = f"{value} + {k.read(self.bias, column)}" if self.bias else value
        k.store(_place(self.out, row=row, column=column, batch=batch), added)

    def walk(self, index: str, step: int, first: tuple[str, str], last: tuple[str, str]) -> str:
        """A loop over the inner places whose terms are not known to be zero.

        It is for the outputs from the row and column `first` on, before those of `last`.
        """
        start = _place(self.first, row=first[0], column=first[1])
        end = _place(self.behind or self.depth, row=last[0], column=last[1])
        advance = f"++{index}" if step == 1 else f"{index} += {step}"
        return f"for (int {index} = {start}; {index} < {end}; {advance})"

    def _index(self, side: int, inner: str, place: str) -> str:
        text = (self.left, self.right)[side]
        return _place(text, inner=inner, row=place, column=place, batch="z")


def writers(product: Product) -> dict[KernelStyle, Writer]:
    """All styles of a product."""

    def per_output(k: Kernel) -> None:
        _per_output(k, product)

    def tiled(k: Kernel) -> None:
        _tiled(k, product)

    def registers(k: Kernel) -> None:
        _registers(k, product)

    def fragments(k: Kernel) -> None:
        _fragments(k, product)

    return {
        KernelStyle.UNGUARDED: per_output,
        KernelStyle.PER_OUTPUT: per_output,
        KernelStyle.SHARED: tiled,
        KernelStyle.REGISTERS: registers,
        KernelStyle.MMA: fragments,
    }


def _per_output(k: Kernel, product: Product) -> None:
    """One thread per output element walks over the inner places."""
    row, column = "i / n", "i % n"
    if product.batches:
        k.threads("i", f"{product.batches} * {product.rows} * n")
        k.line(f"int z = i / ({product.rows} * n), row = i / n % {_atom(product.rows)}, column = i % n;")
        row, column = "row", "column"
    else:
        k.threads("i", f"{product.rows} * n")
    k.line("float s = 0.f;")
    with k.block(product.walk("j", 1, (row, column), (f"{row} + 1", f"{column} + 1"))):
        x, y = product.load(k, 0, "j", row), product.read(k, 1, "j", column)
        k.line(f"s += {x} * {y};")
    bias = f" + {k.read(product.bias, column)}" if product.bias else ""
    k.store("i", f"s{bias}")


def _tiled(k: Kernel, product: Product) -> None:
    """16 x 16 tiles of both operands in shared memory, zero beyond the edges."""
    k.launch(product.grid, f"dim3({_EDGE},{_EDGE})")
    k.line(
        "__shared__ float p[16][16], q[16][16];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        "int i = blockIdx.y * 16 + ty, j = blockIdx.x * 16 + tx;",
    )
    _number(k, product)
    k.line("float s = 0.f;")
    first, last = ("blockIdx.y * 16", "blockIdx.x * 16"), ("blockIdx.y * 16 + 16", "blockIdx.x * 16 + 16")
    with k.block(product.walk("l", 16, first, last)):
        k.line("p[ty][tx] = 0.f;")
        with k.block(f"if (i < {_atom(product.rows)} && l + tx < {product.depth})"):
            k.line(f"p[ty][tx] = {product.load(k, 0, 'l + tx', 'i')};")
        k.line(
            f"q[ty][tx] = {product.read(k, 1, 'l + ty', 'j', f'l + ty < {product.depth} && j < n')};",
            "__syncthreads();",
            "for (int h = 0; h < 16; ++h) s += p[ty][h] * q[h][tx];",
            "__syncthreads();",
        )
    with k.block(f"if (i < {_atom(product.rows)} && j < n)"):
        product.store(k, "i", "j", "s")


def _registers(k: Kernel, product: Product) -> None:
    """Blocks of 64 threads compute 32 x 32 outputs, 4 x 4 a thread in registers."""
    rows = _atom(product.rows)
    tiles = f"ceil_div(n,32),ceil_div({_close(product.rows)},32)"
    k.launch(f"dim3({tiles},{_close(product.batches)})" if product.batches else f"dim3({tiles})", "64")
    k.line(
        "__shared__ float p[8][33], q[8][33];",
        "int tx = threadIdx.x % 8, ty = threadIdx.x / 8;",
        "int top = blockIdx.y * 32, side = blockIdx.x * 32;",
    )
    _number(k, product)
    k.line("float s[4][4] = {};")
    with k.block(product.walk("l", 8, ("top", "side"), ("top + 32", "side + 32"))):
        with k.block("for (int t = threadIdx.x; t < 256; t += 64)"):
            k.line("int i = top + t / 8, j = side + t % 32, across = l + t % 8, down = l + t / 32;")
            k.line("p[t % 8][t / 8] = 0.f;")
            with k.block(f"if (i < {rows} && across < {product.depth})"):
                k.line(f"p[t % 8][t / 8] = {product.load(k, 0, 'across', 'i')};")
            k.line(
                f"q[t / 32][t % 32] = {product.read(k, 1, 'down', 'j', f'down < {product.depth} && j < n')};"
            )
        k.line("__syncthreads();")
        with k.block("for (int h = 0; h < 8; ++h)"), k.block("for (int r = 0; r < 4; ++r)"):
            k.line("float left = p[h][ty + 8 * r];")
            k.line("for (int e = 0; e < 4; ++e) s[r][e] += left * q[h][tx + 8 * e];")
        k.line("__syncthreads();")
    with k.block("for (int t = 0; t < 16; ++t)"):
        k.line("int i = top + ty + t / 4 * 8, j = side + tx + t % 4 * 8;")
        with k.block(f"if (i < {rows} && j < n)"):
            product.store(k, "i", "j", "s[t / 4][t % 4]")


def _fragments(k: Kernel, product: Product) -> None:
    """A warp computes 16 x 16 outputs with matrix fragments in half precision, which add up in float32."""
    rows, kind = _atom(product.rows), CPP_TYPES[k.dtype]
    k.launch(product.grid, "32")
    k.line(
        f"__shared__ __align__(32) {kind} p[256], q[256];",
        "__shared__ __align__(32) float sums[256];",
        "int lane = threadIdx.x, top = blockIdx.y * 16, side = blockIdx.x * 16;",
    )
    _number(k, product)
    k.line(
        "using namespace nvcuda::wmma;",
        f"fragment<matrix_a, 16, 16, 16, {kind}, row_major> left;",
        f"fragment<matrix_b, 16, 16, 16, {kind}, row_major> right;",
        "fragment<accumulator, 16, 16, 16, float> total;",
        "fill_fragment(total, 0.f);",
    )
    with k.block(product.walk("l", 16, ("top", "side"), ("top + 16", "side + 16"))):
        with k.block("for (int t = lane; t < 256; t += 32)"):
            k.line("int i = top + t / 16, j = side + t % 16, across = l + t % 16, down = l + t / 16;")
            k.line("float left_value = 0.f;")
            with k.block(f"if (i < {rows} && across < {product.depth})"):
                k.line(f"left_value = {product.load(k, 0, 'across', 'i')};")
            k.line(
                f"float right_value = {product.read(k, 1, 'down', 'j', f'down < {product.depth} && j < n')};"
            )
            k.line(f"p[t] = {k.narrow('left_value')};", f"q[t] = {k.narrow('right_value')};")
        k.line(
            "__syncwarp();",
            "load_matrix_sync(left, p, 16);",
            "load_matrix_sync(right, q, 16);",
            "mma_sync(total, left, right, total);",
            "__syncwarp();",
        )
    k.line("store_matrix_sync(sums, total, 16, mem_row_major);", "__syncwarp();")
    with k.block("for (int t = lane; t < 256; t += 32)"):
        k.line("int i = top + t / 16, j = side + t % 16;")
        with k.block(f"if (i < {rows} && j < n)"):
            product.store(k, "i", "j", "sums[t]")


def _number(k: Kernel, product: Product) -> None:
    if product.batches:
        k.line("int z = blockIdx.z;")


def _place(pattern: str, **parts: str) -> str:
    """An index text with places in it, in brackets where a factor follows."""
    for name, text in parts.items():
        factor = f"{{{name}}} *" in pattern and ("+" in text or "?" in text)
        pattern = pattern.replace(f"{{{name}}}", f"({text})" if factor else text)
    return pattern


def _atom(text: str) -> str:
    return f"({text})" if " " in text else text


def _close(text: str) -> str:
    return text.replace(" ", "")
