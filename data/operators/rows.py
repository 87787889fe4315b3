"""Operators that need a whole row, or its beginning, for each of its elements: softmax, norms, scans."""

from __future__ import annotations

from data.kernels import folds, scans
from data.kernels.folds import maximum, total
from data.operators.operator import Fold, Operator


def _row(name: str, torch: str, cuda: str, *passes: Fold, flops: int) -> Operator:
    return Operator(name, torch, "x[m, n] -> out[m, n]", cuda, passes, flops, writers=folds.WRITERS)


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
    Operator("cumsum", "{x}.cumsum(1)", "x[m, n] -> out[m, n]", writers=scans.WRITERS),
)  # fmt: skip
