"""Operators that fold each row of a matrix to one number."""

from __future__ import annotations

from data.kernels.folds import WRITERS, maximum, minimum, total
from data.operators.operator import Fold, Operator


def _reduction(name: str, torch: str, fold: Fold, cuda: str = "s", *, flops: int = 1) -> Operator:
    return Operator(name, torch, "x[m, n] -> out[m]", cuda, (fold,), flops, writers=WRITERS)


OPERATORS = (
    _reduction("sum", "{x}.sum(1)", total()),
    _reduction("mean", "{x}.mean(1)", total(), "s / n"),
    _reduction("amax", "{x}.amax(1)", maximum()),
    _reduction("amin", "{x}.amin(1)", minimum()),
)
