"""Losses: one number for a batch of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels.folds import shared_merge, total
from data.operators.domains import below
from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _mean_of(k: Kernel, terms: str, count: str) -> None:
    """A further kernel of one block: the mean of a buffer, in a tree."""
    k.another()
    k.launch("1", "256")
    k.line("__shared__ float p[256];", "float s = 0.f;")
    k.line(f"for (int i = threadIdx.x; i < {count}; i += 256) s += {terms}[i];")
    shared_merge(k, total(), 256)
    k.store("0", f"s / {count}", when="threadIdx.x == 0")


def _cross_entropy(k: Kernel) -> None:
    """One thread per row, then the mean of the rows."""
    k.temporary("losses", "m")
    k.threads("r", "m", 64)
    k.line("float t = -INFINITY, s = 0.f;")
    with k.block("for (int i = r * n; i < r * n + n; ++i)"):
        k.line(f"t = fmaxf(t, {k.load('x', 'i')});")
    with k.block("for (int i = r * n; i < r * n + n; ++i)"):
        k.line(f"s += expf({k.load('x', 'i')} - t);")
    chosen = k.load("x", f"r * n + {k.read('target', 'r')}")
    k.line(f"losses[r] = logf(s) + t - {chosen};")
    _mean_of(k, "losses", "m")


def _cross_entropy_warp(k: Kernel) -> None:
    """One warp per row with a running maximum, then the mean of the rows."""
    k.temporary("losses", "m")
    k.launch("m", "32")
    k.line("int r = blockIdx.x;", "float t = -INFINITY, s = 0.f;")
    with k.block("for (int i = r * n + threadIdx.x; i < r * n + n; i += 32)"):
        value = k.load("x", "i")
        k.line(f"float top = fmaxf(t, {value});", f"s = s * expf(t - top) + expf({value} - top);", "t = top;")
    with k.block("for (int d = 16; d > 0; d /= 2)"):
        k.line(
            "float other = __shfl_xor_sync(0xffffffff, t, d), part = __shfl_xor_sync(0xffffffff, s, d);",
            "float top = fmaxf(t, other);",
            "s = (s > 0.f ? s * expf(t - top) : 0.f) + (part > 0.f ? part * expf(other - top) : 0.f);",
            "t = top;",
        )
    with k.block("if (threadIdx.x == 0)"):
        chosen = k.load("x", f"r * n + {k.read('target', 'r')}")
        k.line(f"losses[r] = logf(s) + t - {chosen};")
    _mean_of(k, "losses", "m")


CROSS_ENTROPY = Operator(
    "cross_entropy",
    "F.cross_entropy({x}, {target})",
    "x[m, n], target[m]: int64 -> out[]",
    flops=11,
    domains={"target": below("n")},
    writers={KernelStyle.PER_OUTPUT: _cross_entropy, KernelStyle.SHUFFLE: _cross_entropy_warp},
)
