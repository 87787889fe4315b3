"""Attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.operators.operator import Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _last(k: Kernel, row: str) -> str:
    """How many keys a query sees."""
    (causal,) = k.attributes("causal")
    return f"min({row} + 1, s)" if causal else "s"


def _online(k: Kernel) -> None:
    """One thread per output element, which rescales its sums whenever it meets a larger score."""
    k.threads("i", "b * e * t * f")
    k.line("int row = i / f, head = row / t;", "float top = -INFINITY, weights = 0.f, sum = 0.f;")
    with k.block(f"for (int j = 0; j < {_last(k, 'row % t')}; ++j)"):
        k.line("float score = 0.f;")
        with k.block("for (int l = 0; l < f; ++l)"):
            k.line(f"score += {k.read('query', 'row * f + l')} * {k.read('key', '(head * s + j) * f + l')};")
        k.line("score *= rsqrtf((float)f);", "float larger = fmaxf(top, score);")
        k.line("float scale = expf(top - larger), weight = expf(score - larger);")
        k.line("weights = weights * scale + weight;")
        k.line(
            f"sum = sum * scale + weight * {k.read('value', '(head * s + j) * f + i % f')};", "top = larger;"
        )
    k.store("i", "sum / weights")


def _shared(k: Kernel) -> None:
    """One block of 64 threads per query: its scores lie in shared memory."""
    k.launch("b * e * t", "64", "s * 4")
    k.line(
        "extern __shared__ float scores[];",
        "__shared__ float p[64];",
        "int row = blockIdx.x, head = row / t, lane = threadIdx.x;",
        f"int count = {_last(k, 'row % t')};",
        "float top = -INFINITY, weights = 0.f;",
    )
    with k.block("for (int j = lane; j < count; j += 64)"):
        k.line("float score = 0.f;")
        with k.block("for (int l = 0; l < f; ++l)"):
            k.line(f"score += {k.read('query', 'row * f + l')} * {k.read('key', '(head * s + j) * f + l')};")
        k.line("scores[j] = score * rsqrtf((float)f);", "top = fmaxf(top, scores[j]);")
    _all_threads(k, "top", "fmaxf(p[lane], p[lane + d])")
    with k.block("for (int j = lane; j < count; j += 64)"):
        k.line("scores[j] = expf(scores[j] - top);", "weights += scores[j];")
    _all_threads(k, "weights", "p[lane] + p[lane + d]")
    with k.block("for (int l = lane; l < f; l += 64)"):
        k.line("float sum = 0.f;")
        with k.block("for (int j = 0; j < count; ++j)"):
            k.line(f"sum += scores[j] * {k.read('value', '(head * s + j) * f + l')};")
        k.store("row * f + l", "sum / weights")


def _tiles(k: Kernel) -> None:
    """A warp for 32 queries: 16 keys and values at a time lie in shared memory, and sums are rescaled."""
    (causal,) = k.attributes("causal")
    k.launch("dim3(ceil_div(t,32),b*e)", "32", "64 * f * 4")
    k.line(
        "extern __shared__ float keys[];",
        "float *values = keys + 16 * f, *sums = keys + 32 * f;",
        "int lane = threadIdx.x, head = blockIdx.y, place = blockIdx.x * 32 + lane, row = head * t + place;",
        "float top = -INFINITY, weights = 0.f;",
        "for (int l = 0; l < f; ++l) sums[l * 32 + lane] = 0.f;",
    )
    last = "min(s, blockIdx.x * 32 + 32)" if causal else "s"
    with k.block(f"for (int first = 0; first < {last}; first += 16)"):
        with k.block("for (int i = lane; i < 16 * f; i += 32)"):
            k.line("int at = (head * s + first) * f + i;")
            for name in ("key", "value"):
                inside = k.read(name, "at", where="first + i / f < s")
                k.line(f"{name}s[i] = {inside};")
        k.line("__syncthreads();", f"int count = place < t ? min(16, {_last(k, 'place')} - first) : 0;")
        with k.block("for (int j = 0; j < count; ++j)"):
            k.line("float score = 0.f;")
            with k.block("for (int l = 0; l < f; ++l)"):
                k.line(f"score += {k.read('query', 'row * f + l')} * keys[j * f + l];")
            k.line("score *= rsqrtf((float)f);", "float larger = fmaxf(top, score);")
            k.line("float scale = expf(top - larger), weight = expf(score - larger);")
            k.line("weights = weights * scale + weight;", "top = larger;")
            with k.block("for (int l = 0; l < f; ++l)"):
                k.line("sums[l * 32 + lane] = sums[l * 32 + lane] * scale + weight * values[j * f + l];")
        k.line("__syncthreads();")
    with k.block("for (int l = 0; l < f && place < t; ++l)"):
        k.store("row * f + l", "sums[l * 32 + lane] / weights")


def _all_threads(k: Kernel, name: str, merge: str) -> None:
    """Merge a variable of 64 threads, and give all of them the result."""
    k.line(f"p[lane] = {name};", "__syncthreads();")
    with k.block("for (int d = 32; d > 0; d /= 2)"):
        k.line(f"if (lane < d) p[lane] = {merge};", "__syncthreads();")
    k.line(f"{name} = p[0];", "__syncthreads();")


SCALED_DOT_PRODUCT_ATTENTION = Operator(
    "scaled_dot_product_attention",
    "F.scaled_dot_product_attention({query}, {key}, {value}, is_causal={causal})",
    "query[b, e, t, f], key[b, e, s, f], value[b, e, s, f] -> out[b, e, t, f]",
    flops="4 * b * e * t * s * f",
    attributes={"causal": (False, True)},
    writers={KernelStyle.PER_OUTPUT: _online, KernelStyle.SHARED: _shared, KernelStyle.ONLINE: _tiles},
)
