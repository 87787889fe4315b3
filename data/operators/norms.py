"""Norms over planes, groups of channels, channels, batches and whole tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels import segments
from data.kernels.folds import shared_merge, total
from data.kernels.segments import Segments
from data.operators.domains import POSITIVE
from data.operators.operator import Attribute, Fold, Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

_CENTRED = (total("t"), total("s", "({x} - t / span) * ({x} - t / span)"))
_SQUARES = (total("s", "{x} * {x}"),)
_STANDARD = "({x} - t / span) * rsqrtf(s / span + 1e-5f)"
_AFFINE = _STANDARD + " * {weight} + {bias}"
_ROWS = Segments("m", "n", "r * span + j")


def _norm(
    name: str, torch: str, signature: str, cuda: str, folds: tuple[Fold, ...], lying: Segments, flops: int,
    **attributes: tuple[Attribute, ...],
) -> Operator:  # fmt: skip
    return Operator(
        name, torch, signature, cuda, folds, flops, attributes=attributes, writers=segments.writers(lying)
    )


def _batch_norm(k: Kernel) -> None:
    """One thread per element."""
    k.threads("i", k.count())
    _normalized(k, "i / (h * w) % c", "i")


def _batch_norm_strided(k: Kernel) -> None:
    """A block per plane, whose threads step over it; scale and shift are worked out once."""
    k.launch("b * c", "128")
    k.line(
        "int channel = blockIdx.x % c, first = blockIdx.x * h * w;",
        f"float scale = rsqrtf({k.read('var', 'channel')} + 1e-5f) * {k.read('weight', 'channel')};",
        f"float shift = {k.read('bias', 'channel')} - {k.read('mean', 'channel')} * scale;",
    )
    with k.block("for (int j = threadIdx.x; j < h * w; j += 128)"):
        x = k.load("x", "first + j")
        k.store("first + j", f"{x} * scale + shift")


def _normalized(k: Kernel, channel: str, index: str) -> None:
    x = k.load("x", index)
    k.line(
        f"int channel = {channel};",
        f"float centred = {x} - {k.read('mean', 'channel')};",
        f"float scale = rsqrtf({k.read('var', 'channel')} + 1e-5f) * {k.read('weight', 'channel')};",
    )
    k.store(index, f"centred * scale + {k.read('bias', 'channel')}")


def _whole(k: Kernel) -> None:
    """One block folds all elements; then a thread per element divides."""
    k.temporary("total", "1")
    k.launch("1", "256")
    k.line("__shared__ float p[256];", "float s = 0.f;")
    with k.block(f"for (int i = threadIdx.x; i < {k.count()}; i += 256)"):
        x = k.load("x", "i")
        k.line(f"s += {x} * {x};")
    shared_merge(k, total(), 256)
    k.line("if (threadIdx.x == 0) total[0] = s;")
    k.another()
    k.threads("i", k.count())
    k.store("i", f"{k.load('x', 'i')} / sqrtf(total[0])")


def _whole_by_blocks(k: Kernel) -> None:
    """64 blocks fold a share each; then every block folds the shares by itself, and divides."""
    k.temporary("shares", "64")
    k.launch("64", "128")
    k.line("__shared__ float p[128];", "float s = 0.f;")
    with k.block(f"for (int i = blockIdx.x * 128 + threadIdx.x; i < {k.count()}; i += 64 * 128)"):
        x = k.load("x", "i")
        k.line(f"s += {x} * {x};")
    shared_merge(k, total(), 128)
    k.line("if (threadIdx.x == 0) shares[blockIdx.x] = s;")
    k.another()
    k.launch(f"ceil_div({k.count()},128)", "128")
    k.line("__shared__ float p[64];", "int i = blockIdx.x * 128 + threadIdx.x;")
    k.line("if (threadIdx.x < 64) p[threadIdx.x] = shares[threadIdx.x];")
    with k.block("for (int d = 32; d > 0; d /= 2)"):
        k.line("__syncthreads();", "if (threadIdx.x < d) p[threadIdx.x] += p[threadIdx.x + d];")
    k.line("__syncthreads();")
    with k.block(f"if (i < {k.count()})"):
        k.store("i", f"{k.load('x', 'i')} * rsqrtf(p[0])")


_IMAGE = "x[b, c, h, w], weight[c], bias[c] -> out[b, c, h, w]"

OPERATORS = (
    Operator(
        "batch_norm",
        "F.batch_norm({x}, {mean}, {var}, {weight}, {bias})",
        "x[b, c, h, w], mean[c], var[c], weight[c], bias[c] -> out[b, c, h, w]",
        flops=4,
        domains={"var": POSITIVE},
        writers={KernelStyle.PER_OUTPUT: _batch_norm, KernelStyle.GRID_STRIDE: _batch_norm_strided},
    ),
    _norm(
        "batch_norm_training",
        "F.batch_norm({x}, None, None, {weight}, {bias}, training=True)",
        _IMAGE, _AFFINE, _CENTRED,
        Segments("c", "b * h * w", "(j / (h * w) * c + r) * h * w + j % (h * w)", "r"), 9,
    ),
    _norm(
        "instance_norm", "F.instance_norm({x}, weight={weight}, bias={bias})", _IMAGE, _AFFINE, _CENTRED,
        Segments("b * c", "h * w", "r * span + j", "r % c"), 9,
    ),
    _norm(
        "group_norm",
        "F.group_norm({x}, {groups}, {weight}, {bias})",
        "x[b, groups * c, h, w], weight[groups * c], bias[groups * c] -> out[b, groups * c, h, w]",
        _AFFINE, _CENTRED,
        Segments("b * {groups}", "c * h * w", "r * span + j", "r % {groups} * c + j / (h * w)"), 9,
        groups=(2, 1, 4),
    ),
    _norm(
        "layer_norm_3d",
        "F.layer_norm({x}, ({c}, {h}, {w}), {weight}, {bias})",
        "x[b, c, h, w], weight[c, h, w], bias[c, h, w] -> out[b, c, h, w]",
        _AFFINE, _CENTRED, Segments("b", "c * h * w", "r * span + j", "j"), 9,
    ),
    _norm(
        "rms_norm_channels",
        "{x} * torch.rsqrt({x}.square().mean(1, keepdim=True) + 1e-05)",
        "x[b, c, h, w] -> out[b, c, h, w]",
        "{x} * rsqrtf(s / span + 1e-5f)", _SQUARES,
        Segments("b * h * w", "c", "(r / (h * w) * c + j) * h * w + r % (h * w)"), 3,
    ),
    _norm(
        "normalize", "F.normalize({x}, dim=1)", "x[m, n] -> out[m, n]",
        "{x} / fmaxf(sqrtf(s), 1e-12f)", _SQUARES, _ROWS, 3,
    ),
    _norm(
        "normalize_l1", "F.normalize({x}, p=1.0, dim=1)", "x[m, n] -> out[m, n]",
        "{x} / fmaxf(s, 1e-12f)", (total("s", "fabsf({x})"),), _ROWS, 3,
    ),
    _norm(
        "vector_norm", "torch.linalg.vector_norm({x}, dim=(2, 3))", "x[b, c, h, w] -> out[b, c]",
        "sqrtf(s)", _SQUARES, Segments("b * c", "h * w", "r * span + j"), 2,
    ),
    Operator(
        "norm",
        "{x} / torch.norm({x})",
        "x[b, c, h, w] -> out[b, c, h, w]",
        flops=3,
        writers={KernelStyle.PER_OUTPUT: _whole, KernelStyle.SHARED: _whole_by_blocks},
    ),
)  # fmt: skip
