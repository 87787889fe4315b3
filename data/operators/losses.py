"""Losses: one number for a batch of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.kernels.folds import SERIAL, formula, shared_merge, strided, total
from data.operators.domains import DISTRIBUTION, LOG_DISTRIBUTION, SIGN, UNIT, Domain, below
from data.operators.operator import Attribute, Fold, Operator
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


def _nll(k: Kernel) -> None:
    """One block sums up what the targets choose."""
    k.launch("1", "256")
    k.line("__shared__ float p[256];", "float s = 0.f;")
    with k.block("for (int r = threadIdx.x; r < m; r += 256)"):
        k.line(f"s -= {k.load('x', 'r * n + ' + k.read('target', 'r'))};")
    shared_merge(k, total(), 256)
    k.store("0", "s / m", when="threadIdx.x == 0")


def _nll_serial(k: Kernel) -> None:
    """One thread per row, then the mean of the rows."""
    k.temporary("losses", "m")
    k.threads("r", "m", 64)
    k.line(f"losses[r] = -{k.load('x', 'r * n + ' + k.read('target', 'r'))};")
    _mean_of(k, "losses", "m")


def _by_row(k: Kernel) -> None:
    """One thread per row, then the mean of the rows."""
    k.temporary("losses", "m")
    k.threads("r", "m", 64)
    for fold in k.operator.folds:
        k.line(f"float {fold.accumulator} = {fold.start};")
    with k.block(SERIAL):
        _terms(k)
    k.line(f"losses[r] = {_loss(k)};")
    _mean_of(k, "losses", "m")


def _by_warp(k: Kernel) -> None:
    """One warp per row, then the mean of the rows."""
    k.temporary("losses", "m")
    k.launch("m", "32")
    k.line("int r = blockIdx.x;")
    for fold in k.operator.folds:
        k.line(f"float {fold.accumulator} = {fold.start};")
    with k.block(strided(32)):
        _terms(k)
    with k.block("for (int d = 16; d > 0; d /= 2)"):
        for fold in k.operator.folds:
            k.line(fold.update.format(term=f"__shfl_xor_sync(0xffffffff, {fold.accumulator}, d)"))
    k.line(f"if (threadIdx.x == 0) losses[r] = {_loss(k)};")
    _mean_of(k, "losses", "m")


def _terms(k: Kernel) -> None:
    """All folds of a row in one pass: none needs another's result."""
    for fold in k.operator.folds:
        k.line(fold.update.format(term=formula(k, _given(k, fold.term), "i")))


def _loss(k: Kernel) -> str:
    return formula(k, _given(k, k.operator.cuda), "r")


def _given(k: Kernel, text: str) -> str:
    """A formula with the attributes' values."""
    for name, value in k.node.attributes:
        text = text.replace(f"{{{name}}}", f"{value}f")
    return text


_ROWS = {KernelStyle.PER_OUTPUT: _by_row, KernelStyle.SHUFFLE: _by_warp}


def _elementwise(
    name: str,
    torch: str,
    term: str,
    target: Domain | None = None,
    *,
    x: Domain | None = None,
    flops: int = 4,
    attributes: dict[str, tuple[Attribute, ...]] | None = None,
    count: str = "n",
) -> Operator:
    """The mean of a loss for each element: the rows' means, or sums, and then the mean of those."""
    domains = {name: domain for name, domain in (("x", x), ("target", target)) if domain is not None}
    return Operator(
        name, torch, "x[m, n], target[m, n] -> out[]", f"s / {count}", (total("s", term),), flops,
        attributes=attributes or {}, domains=domains, writers=_ROWS,
    )  # fmt: skip


def _of_rows(
    name: str,
    torch: str,
    signature: str,
    loss: str,
    *folds: Fold,
    flops: int,
    attributes: dict[str, tuple[Attribute, ...]] | None = None,
    domains: dict[str, Domain] | None = None,
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16"),
) -> Operator:
    return Operator(
        name, torch, signature, loss, folds, flops, attributes=attributes or {}, domains=domains or {},
        dtypes=dtypes, writers=_ROWS,
    )  # fmt: skip


_DIFFERENCE = "fabsf({x} - {target})"
_WITH_LOGITS = "fmaxf({x}, 0.f) - {x} * {target} + log1pf(expf(-fabsf({x})))"
_NEAR, _FAR = "({x} - {positive} + 1e-6f)", "({x} - {negative} + 1e-6f)"
_SMOOTH = "({d} < {beta} ? 0.5f * {d} * {d} / {beta} : {d} - 0.5f * {beta})".replace("{d}", _DIFFERENCE)
_HUBER = "({d} < {delta} ? 0.5f * {d} * {d} : {delta} * ({d} - 0.5f * {delta}))".replace("{d}", _DIFFERENCE)
_TARGETS = "x[m, n], target[m]: int64 -> out[]"

OPERATORS = (
    Operator(
        "cross_entropy",
        "F.cross_entropy({x}, {target})",
        _TARGETS,
        flops=11,
        domains={"target": below("n")},
        writers={KernelStyle.PER_OUTPUT: _cross_entropy, KernelStyle.SHUFFLE: _cross_entropy_warp},
    ),
    Operator(
        "nll_loss", "F.nll_loss({x}, {target})", _TARGETS, flops="m", reads={"x": "m"},
        domains={"x": LOG_DISTRIBUTION, "target": below("n")},
        writers={KernelStyle.PER_OUTPUT: _nll_serial, KernelStyle.SHARED: _nll},
    ),
    _elementwise("mse_loss", "F.mse_loss({x}, {target})", "({x} - {target}) * ({x} - {target})"),
    _elementwise("l1_loss", "F.l1_loss({x}, {target})", _DIFFERENCE, flops=3),
    _elementwise(
        "smooth_l1_loss", "F.smooth_l1_loss({x}, {target}, beta={beta})", _SMOOTH, flops=6,
        attributes={"beta": (1.0, 0.5)},
    ),
    _elementwise(
        "huber_loss", "F.huber_loss({x}, {target}, delta={delta})", _HUBER, flops=6,
        attributes={"delta": (1.0, 0.5)},
    ),
    _elementwise(
        "kl_div", "F.kl_div({x}, {target}, reduction='batchmean')",
        "{target} > 0.f ? {target} * (logf({target}) - {x}) : 0.f",
        DISTRIBUTION, x=LOG_DISTRIBUTION, flops=7, count="1",
    ),
    _elementwise(
        "binary_cross_entropy_with_logits", "F.binary_cross_entropy_with_logits({x}, {target})",
        _WITH_LOGITS, UNIT, flops=13,
    ),
    _elementwise(
        "hinge_loss", "torch.mean(torch.clamp(1 - {x} * {target}, min=0))",
        "fmaxf(1.f - {x} * {target}, 0.f)", SIGN,
    ),
    _elementwise(
        "soft_margin_loss", "F.soft_margin_loss({x}, {target})", "log1pf(expf(-{x} * {target}))", SIGN,
        flops=11,
    ),
    _elementwise(
        "poisson_nll_loss", "F.poisson_nll_loss({x}, {target})", "expf({x}) - {target} * {x}", UNIT, flops=7,
    ),
    _of_rows(
        "triplet_margin_loss", "F.triplet_margin_loss({x}, {positive}, {negative}, margin={margin})",
        "x[m, n], positive[m, n], negative[m, n] -> out[]", "fmaxf(sqrtf(t) - sqrtf(s) + {margin}, 0.f)",
        total("t", f"{_NEAR} * {_NEAR}"), total("s", f"{_FAR} * {_FAR}"), flops=8,
        attributes={"margin": (1.0, 0.25)}, dtypes=("float32", "float16"),
    ),
    _of_rows(
        "cosine_embedding_loss", "F.cosine_embedding_loss({x}, {y}, {target})",
        "x[m, n], y[m, n], target[m] -> out[]",
        "{target} > 0.f ? 1.f - s * rsqrtf((t + 1e-12f) * (g + 1e-12f)) "
        ": fmaxf(s * rsqrtf((t + 1e-12f) * (g + 1e-12f)), 0.f)",
        total("t", "{x} * {x}"), total("g", "{y} * {y}"), total("s", "{x} * {y}"), flops=6,
        domains={"target": SIGN},
    ),
)  # fmt: skip
