"""Operators whose result elements each need one element of every operand.

They state no kernels: each is fused into its neighbours, and alone it has all elementwise styles.
"""

from __future__ import annotations

from data.operators.operator import Operator

_ONE = "x[...] -> out[...]"
_TWO = "x[...], y[...] -> out[...]"

OPERATORS = (
    Operator("abs", "torch.abs({x})", _ONE, "fabsf({x})"),
    Operator("neg", "torch.neg({x})", _ONE, "-{x}"),
    Operator("square", "torch.square({x})", _ONE, "{x} * {x}"),
    Operator("exp", "torch.exp({x})", _ONE, "expf({x})", flops=4),
    Operator("sin", "torch.sin({x})", _ONE, "sinf({x})", flops=4),
    Operator("cos", "torch.cos({x})", _ONE, "cosf({x})", flops=4),
    Operator("relu", "torch.relu({x})", _ONE, "fmaxf({x}, 0.f)"),
    Operator("sigmoid", "torch.sigmoid({x})", _ONE, "1.f / (1.f + expf(-{x}))", flops=7),
    Operator("tanh", "torch.tanh({x})", _ONE, "tanhf({x})", flops=4),
    Operator("gelu", "F.gelu({x})", _ONE, "0.5f * {x} * (1.f + erff({x} * 0.70710678f))", flops=8),
    Operator("silu", "F.silu({x})", _ONE, "{x} / (1.f + expf(-{x}))", flops=7),
    Operator(
        "softplus", "F.softplus({x})", _ONE, "fmaxf({x}, 0.f) + log1pf(expf(-fabsf({x})))", flops=11
    ),
    Operator("leaky_relu", "F.leaky_relu({x})", _ONE, "{x} > 0.f ? {x} : 0.01f * {x}", flops=2),
    Operator("elu", "F.elu({x})", _ONE, "{x} > 0.f ? {x} : expm1f({x})", flops=5),
    Operator("hardtanh", "F.hardtanh({x})", _ONE, "fminf(fmaxf({x}, -1.f), 1.f)", flops=2),
    Operator("add", "{x} + {y}", _TWO, "{x} + {y}"),
    Operator("sub", "{x} - {y}", _TWO, "{x} - {y}"),
    Operator("mul", "{x} * {y}", _TWO, "{x} * {y}"),
    Operator("maximum", "torch.maximum({x}, {y})", _TWO, "fmaxf({x}, {y})"),
    Operator("minimum", "torch.minimum({x}, {y})", _TWO, "fminf({x}, {y})"),
)  # fmt: skip
