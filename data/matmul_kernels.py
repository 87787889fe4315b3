"""Kernels for a matrix product with pointwise steps on its left operand or on its result."""

from __future__ import annotations

from data.graph import Graph
from data.kernel_text import after, apply, blocks, kernel, loop, thread_index


def per_output(graph: Graph, core: int, *, guarded: bool) -> str:
    """One thread per output element walks a row of x and a column of y."""
    lines, value = apply(graph, 0, core, "u")
    rest, result = after(graph, core, "s")
    body = [
        *thread_index("i", "m * n", guarded=guarded),
        "float s = 0.f;",
        *loop(
            "for (int j = 0; j < k; ++j)",
            ["float u = x[i / n * k + j];", *lines, f"s += {value} * y[j * n + i % n];"],
        ),
        *rest,
        f"out[i] = {result};",
    ]
    return kernel(graph, blocks("m * n", 256, guarded=guarded), "256", body)


def tiled(graph: Graph, core: int) -> str:
    """16 x 16 tiles of both operands in shared memory, zero beyond the edges."""
    lines, value = apply(graph, 0, core, "u")
    rest, result = after(graph, core, "s")
    tile = [
        "p[ty][tx] = 0.f;",
        *loop("if (i < m && l + tx < k)", ["float u = x[i * k + l + tx];", *lines, f"p[ty][tx] = {value};"]),
        "q[ty][tx] = l + ty < k && j < n ? y[(l + ty) * n + j] : 0.f;",
        "__syncthreads();",
        "for (int h = 0; h < 16; ++h) s += p[ty][h] * q[h][tx];",
        "__syncthreads();",
    ]
    body = [
        "__shared__ float p[16][16], q[16][16];",
        "int tx = threadIdx.x, ty = threadIdx.y;",
        "int i = blockIdx.y * 16 + ty, j = blockIdx.x * 16 + tx;",
        "float s = 0.f;",
        *loop("for (int l = 0; l < k; l += 16)", tile),
        *loop("if (i < m && j < n)", [*rest, f"out[i * n + j] = {result};"]),
    ]
    return kernel(graph, "dim3(ceil_div(n,16),ceil_div(m,16))", "dim3(16,16)", body)
