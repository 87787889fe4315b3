"""Operators that need a whole row, or its beginning, for each of its elements: softmax, norms, scans."""

from __future__ import annotations

from data.kernels import folds, scans
from data.kernels.folds import maximum, minimum, total
from data.kernels.scans import Scan
from data.operators.domains import ANY, MASK, NEAR_ONE, Domain
from data.operators.operator import Fold, Operator


def _row(name: str, torch: str, cuda: str, *passes: Fold, flops: int) -> Operator:
    return Operator(name, torch, "x[m, n] -> out[m, n]", cuda, passes, flops, writers=folds.WRITERS)


def _scan(name: str, torch: str, scan: Scan, domain: Domain = ANY) -> Operator:
    return Operator(
        name, torch, "x[m, n] -> out[m, n]", domains={} if domain is ANY else {"x": domain},
        writers=scans.writers(scan),
    )  # fmt: skip


_LOG_ADD = (
    "__device__ float log_add(float a, float b)",
    "float top = fmaxf(a, b);",
    "return top == -INFINITY ? top : top + log1pf(expf(fminf(a, b) - top));",
)
_CENTRED_SQUARE = "({x} - t / n) * ({x} - t / n)"

OPERATORS = (
    _row(
        "softmax", "{x}.softmax(1)", "expf({x} - t) / s", maximum("t"), total("s", "expf({x} - t)"), flops=11
    ),
    _row(
        "layer_norm", "F.layer_norm({x}, ({n},))", "({x} - t / n) * rsqrtf(s / n + 1e-5f)",
        total("t"), total("s", _CENTRED_SQUARE), flops=8,
    ),
    _row(
        "rms_norm", "F.rms_norm({x}, ({n},), eps=1e-06)", "{x} * rsqrtf(s / n + 1e-6f)",
        total("s", "{x} * {x}"), flops=4,
    ),
    _row(
        "log_softmax", "{x}.log_softmax(1)", "{x} - t - logf(s)", maximum("t"), total("s", "expf({x} - t)"),
        flops=11,
    ),
    _row(
        "softmin", "F.softmin({x}, 1)", "expf(t - {x}) / s", minimum("t"), total("s", "expf(t - {x})"),
        flops=11,
    ),
    _scan("cumsum", "{x}.cumsum(1)", Scan()),
    _scan("cumsum_reverse", "{x}.flip(1).cumsum(1).flip(1)", Scan(backwards=True)),
    _scan("cumsum_exclusive", "{x}.cumsum(1) - {x}", Scan(exclusive=True)),
    _scan("cumprod", "{x}.cumprod(1)", Scan("1.f", "*"), NEAR_ONE),
    _scan("cummax", "{x}.cummax(1).values", Scan("-INFINITY", "fmaxf")),
    _scan("cummin", "{x}.cummin(1).values", Scan("INFINITY", "fminf")),
    _scan("logcumsumexp", "{x}.logcumsumexp(1)", Scan("-INFINITY", "log_add", helper=_LOG_ADD)),
    Operator(
        "masked_cumsum", "({x} * {mask}).cumsum(1)", "x[m, n], mask[m, n]: bool -> out[m, n]",
        "({mask} ? {x} : 0.f)", domains={"mask": MASK}, writers=scans.writers(Scan()),
    ),
)  # fmt: skip
