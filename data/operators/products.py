"""Matrix products, and transposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.operators.dims import COLUMNS, INNER, PRODUCT_COLUMNS, PRODUCT_ROWS, ROWS
from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _matmul(k: Kernel) -> None:
    """One thread per output element walks a row of x and a column of y."""
    k.threads("i", "m * n")
    k.line("float s = 0.f;")
    with k.block("for (int j = 0; j < k; ++j)"):
        x, y = k.load("x", "i / n * k + j"), k.read("y", "j * n + i % n")
        k.line(f"s += {x} * {y};")
    k.store("i", "s")


def _matmul_tiled(k: Kernel) -> None:
    """16 x 16 tiles of both operands in shared memory, zero beyond the edges."""
    k.launch("dim3(ceil_div(n,16),ceil_div(m,16))", "dim3(16,16)")
    k.line(
        "__shared__ float p[16][16], q[16][16];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        "int i = blockIdx.y * 16 + ty, j = blockIdx.x * 16 + tx;",
        "float s = 0.f;",
    )
    with k.block("for (int l = 0; l < k; l += 16)"):
        k.line("p[ty][tx] = 0.f;")
        with k.block("if (i < m && l + tx < k)"):
            k.line(f"p[ty][tx] = {k.load('x', 'i * k + l + tx')};")
        k.line(
            f"q[ty][tx] = {k.read('y', '(l + ty) * n + j', where='l + ty < k && j < n')};",
            "__syncthreads();",
            "for (int h = 0; h < 16; ++h) s += p[ty][h] * q[h][tx];",
            "__syncthreads();",
        )
    with k.block("if (i < m && j < n)"):
        k.store("i * n + j", "s")


def _transpose(k: Kernel) -> None:
    """One thread per element: reads in order, writes to the transposed place."""
    k.threads("i", "m * n")
    k.store("i % n * m + i / n", k.load("x", "i"))


def _transpose_tiled(k: Kernel) -> None:
    """16 x 16 tiles through shared memory, so that reads and writes are both in order."""
    k.launch("dim3(ceil_div(n,16),ceil_div(m,16))", "dim3(16,16)")
    k.line(
        "__shared__ float p[16][17];",
        "int i = blockIdx.y * 16 + threadIdx.y;",
        "int j = blockIdx.x * 16 + threadIdx.x;",
    )
    with k.block("if (i < m && j < n)"):
        value = k.finish(k.load("x", "i * n + j"), "j * m + i")
        k.line(f"p[threadIdx.y][threadIdx.x] = {value};")
    k.line("__syncthreads();", "i = blockIdx.y * 16 + threadIdx.x;", "j = blockIdx.x * 16 + threadIdx.y;")
    k.put("j * m + i", "p[threadIdx.x][threadIdx.y]", when="i < m && j < n")


OPERATORS = (
    Operator(
        "transpose",
        "{x}.t()",
        "x[m, n] -> out[n, m]",
        flops=0,
        dims={"m": ROWS, "n": COLUMNS},
        writers={
            KernelStyle.UNGUARDED: _transpose,
            KernelStyle.PER_OUTPUT: _transpose,
            KernelStyle.SHARED: _transpose_tiled,
        },
    ),
    Operator(
        "matmul",
        "{x} @ {y}",
        "x[m, k], y[k, n] -> out[m, n]",
        flops="2 * m * n * k",
        dims={"m": PRODUCT_ROWS, "n": PRODUCT_COLUMNS, "k": INNER},
        writers={
            KernelStyle.UNGUARDED: _matmul,
            KernelStyle.PER_OUTPUT: _matmul,
            KernelStyle.SHARED: _matmul_tiled,
        },
    ),
)
