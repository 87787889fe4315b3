"""Products with vectors; that of a matrix and a vector folds rows, and stands among the reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels.elementwise import by_element
from data.kernels.folds import shared_merge, total
from data.operators.dims import COLUMNS, DIAGONAL, ROWS, VECTOR
from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _outer(k: Kernel) -> str:
    return f"{k.load('x', 'i / n')} * {k.load('y', 'i % n')}"


def _diagonal(k: Kernel) -> str:
    return f"{k.load('diagonal', 'i / n')} * {k.load('y', 'i')}"


def _dot(k: Kernel) -> None:
    """1024 threads with a sum each, and one thread that adds those up."""
    k.temporary("partial", "1024")
    k.launch("8", "128")
    k.line("float s = 0.f;")
    _share(k)
    k.line("partial[blockIdx.x * blockDim.x + threadIdx.x] = s;")
    k.another()
    k.launch("1", "1")
    k.line("float s = 0.f;", "for (int i = 0; i < 1024; ++i) s += partial[i];")
    k.store("0", "s")


def _dot_shared(k: Kernel) -> None:
    """64 blocks, a tree in each, then one warp's worth of partial sums."""
    k.temporary("partial", "64")
    k.launch("64", "128")
    k.line("__shared__ float p[128];", "float s = 0.f;")
    _share(k)
    shared_merge(k, total(), 128)
    k.line("if (threadIdx.x == 0) partial[blockIdx.x] = s;")
    _finish(k, "partial[threadIdx.x] + partial[threadIdx.x + 32]")


def _dot_shuffle(k: Kernel) -> None:
    """32 warps, which meet through shuffles, then their partial sums."""
    k.temporary("partial", "32")
    k.launch("32", "32")
    k.line("float s = 0.f;")
    _share(k)
    k.line("for (int d = 16; d > 0; d /= 2) s += __shfl_xor_sync(0xffffffff, s, d);")
    k.line("if (threadIdx.x == 0) partial[blockIdx.x] = s;")
    _finish(k, "partial[threadIdx.x]")


def _share(k: Kernel) -> None:
    """A thread's part of the sum."""
    with k.block("for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)"):
        k.line(f"s += {k.load('x', 'i')} * {k.load('y', 'i')};")


def _finish(k: Kernel, own: str) -> None:
    """A further kernel of one warp, each lane with its own part."""
    k.another()
    k.launch("1", "32")
    k.line(f"float s = {own};", "for (int d = 16; d > 0; d /= 2) s += __shfl_xor_sync(0xffffffff, s, d);")
    k.store("0", "s", when="threadIdx.x == 0")


OPERATORS = (
    Operator(
        "outer", "torch.outer({x}, {y})", "x[m], y[n] -> out[m, n]", flops="m * n",
        dims={"m": ROWS, "n": COLUMNS}, writers=by_element(_outer),
    ),
    Operator(
        "diag_matmul", "torch.diag({diagonal}) @ {y}", "diagonal[m], y[m, n] -> out[m, n]", flops="m * n",
        dims={"m": DIAGONAL, "n": COLUMNS}, writers=by_element(_diagonal),
    ),
    Operator(
        "dot", "torch.dot({x}, {y})", "x[n], y[n] -> out[]", flops=2, dims={"n": VECTOR},
        writers={
            KernelStyle.PER_OUTPUT: _dot,
            KernelStyle.SHARED: _dot_shared,
            KernelStyle.SHUFFLE: _dot_shuffle,
        },
    ),
)  # fmt: skip
