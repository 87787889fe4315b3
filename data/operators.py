"""The operator table: how each operator is written in PyTorch and in CUDA.

The generator draws from this table and `solutions` translates it; adding a row is all that a new
elementwise operator or row reduction needs. Names are those of torch's functions, so that published
programs with the same operators fall into the same combinations.

Templates: `{0}` is the (first) operand, `{1}` a binary operator's second. CUDA operands are always
local variables or literals, never expressions, so a template may use one twice. In row templates
`n` is the row length and the folds' accumulators are in scope by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What an operator does to a tensor's shape and which elements each output needs."""

    UNARY = "unary"  #: elementwise arithmetic
    ACTIVATION = "activation"  #: elementwise, as used between layers
    BINARY = "binary"  #: elementwise on two tensors, the second possibly a broadcast row
    REDUCTION = "reduction"  #: [m, n] to [m]
    ROW = "row"  #: [m, n] to [m, n], each element needs its whole row
    SCAN = "scan"  #: [m, n] to [m, n], each element needs its row's beginning
    TRANSPOSE = "transpose"  #: [m, n] to [n, m]
    MATMUL = "matmul"  #: [m, k] and [k, n] to [m, n]


#: One value in, one value out.
POINTWISE = frozenset({Family.UNARY, Family.ACTIVATION})
#: Operators that take a kernel of their own shape; at most one pointwise operator joins them.
STRUCTURED = frozenset({Family.ROW, Family.SCAN, Family.TRANSPOSE, Family.MATMUL})


@dataclass(frozen=True)
class Fold:
    """One pass over a row that folds a term per element into an accumulator.

    `update` also merges two partial accumulators, which is what shared-memory and shuffle
    reductions do with it.
    """

    accumulator: str
    start: str
    update: str
    term: str = "{0}"


@dataclass(frozen=True)
class Operator:
    """One row of the table."""

    name: str
    family: Family
    torch: str
    """PyTorch expression."""
    cuda: str
    """CUDA expression: of the element, or for rows of the element and the accumulators."""
    flops: int = 1
    """Floating-point operations per input element (an estimate; a special function counts 4)."""
    folds: tuple[Fold, ...] = ()
    """Passes over the row, in order (reductions, rows and scans)."""


def _sum(accumulator: str = "s", term: str = "{0}") -> Fold:
    return Fold(accumulator, "0.f", accumulator + " += {0};", term)


def _max(accumulator: str = "s") -> Fold:
    return Fold(accumulator, "-INFINITY", f"{accumulator} = fmaxf({accumulator}, {{0}});")


_MIN = Fold("s", "INFINITY", "s = fminf(s, {0});")
_CENTRED_SQUARE = "({0} - t / n) * ({0} - t / n)"

_TABLE = (
    Operator("abs", Family.UNARY, "torch.abs({0})", "fabsf({0})"),
    Operator("neg", Family.UNARY, "torch.neg({0})", "-{0}"),
    Operator("square", Family.UNARY, "torch.square({0})", "{0} * {0}"),
    Operator("exp", Family.UNARY, "torch.exp({0})", "expf({0})", 4),
    Operator("sin", Family.UNARY, "torch.sin({0})", "sinf({0})", 4),
    Operator("cos", Family.UNARY, "torch.cos({0})", "cosf({0})", 4),
    Operator("relu", Family.ACTIVATION, "torch.relu({0})", "fmaxf({0}, 0.f)"),
    Operator("sigmoid", Family.ACTIVATION, "torch.sigmoid({0})", "1.f / (1.f + expf(-{0}))", 7),
    Operator("tanh", Family.ACTIVATION, "torch.tanh({0})", "tanhf({0})", 4),
    Operator("gelu", Family.ACTIVATION, "F.gelu({0})", "0.5f * {0} * (1.f + erff({0} * 0.70710678f))", 8),
    Operator("silu", Family.ACTIVATION, "F.silu({0})", "{0} / (1.f + expf(-{0}))", 7),
    Operator(
        "softplus", Family.ACTIVATION, "F.softplus({0})", "fmaxf({0}, 0.f) + log1pf(expf(-fabsf({0})))", 11
    ),
    Operator("leaky_relu", Family.ACTIVATION, "F.leaky_relu({0})", "{0} > 0.f ? {0} : 0.01f * {0}", 2),
    Operator("elu", Family.ACTIVATION, "F.elu({0})", "{0} > 0.f ? {0} : expm1f({0})", 5),
    Operator("hardtanh", Family.ACTIVATION, "F.hardtanh({0})", "fminf(fmaxf({0}, -1.f), 1.f)", 2),
    Operator("add", Family.BINARY, "{0} + {1}", "{0} + {1}"),
    Operator("sub", Family.BINARY, "{0} - {1}", "{0} - {1}"),
    Operator("mul", Family.BINARY, "{0} * {1}", "{0} * {1}"),
    Operator("maximum", Family.BINARY, "torch.maximum({0}, {1})", "fmaxf({0}, {1})"),
    Operator("minimum", Family.BINARY, "torch.minimum({0}, {1})", "fminf({0}, {1})"),
    Operator("sum", Family.REDUCTION, "{0}.sum(1)", "s", folds=(_sum(),)),
    Operator("mean", Family.REDUCTION, "{0}.mean(1)", "s / n", folds=(_sum(),)),
    Operator("amax", Family.REDUCTION, "{0}.amax(1)", "s", folds=(_max(),)),
    Operator("amin", Family.REDUCTION, "{0}.amin(1)", "s", folds=(_MIN,)),
    Operator(
        "softmax", Family.ROW, "{0}.softmax(1)", "expf({0} - t) / s", 11,
        folds=(_max("t"), _sum("s", "expf({0} - t)")),
    ),
    Operator(
        "layer_norm", Family.ROW, "F.layer_norm({0}, (n,))", "({0} - t / n) * rsqrtf(s / n + 1e-5f)", 8,
        folds=(_sum("t"), _sum("s", _CENTRED_SQUARE)),
    ),
    Operator(
        "rms_norm", Family.ROW, "F.rms_norm({0}, (n,), eps=1e-06)", "{0} * rsqrtf(s / n + 1e-6f)", 4,
        folds=(_sum("s", "{0} * {0}"),),
    ),
    Operator("cumsum", Family.SCAN, "{0}.cumsum(1)", "s", folds=(_sum(),)),
    Operator("transpose", Family.TRANSPOSE, "{0}.t()", "{0}", 0),
    Operator("matmul", Family.MATMUL, "{0} @ y", "s"),
)  # fmt: skip

#: All operators by name, in the table's order.
OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _TABLE}
