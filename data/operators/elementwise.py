"""Operators whose result elements each need one element of every operand.

They state no kernels: each is fused into its neighbours, and alone it has all elementwise styles.
"""

from __future__ import annotations

from data.operators.domains import INSIDE, MASK, POSITIVE, UNIT, WIDE
from data.operators.operator import Operator

_ONE = "x[...] -> out[...]"
_TWO = "x[...], y[...] -> out[...]"
_THREE = "x[...], y[...], z[...] -> out[...]"
_LOGICAL = "x[...]: bool, y[...]: bool -> out[...]: bool"


def _of_positive(name: str, cuda: str, *, flops: int = 4) -> Operator:
    return Operator(name, f"torch.{name}({{x}})", _ONE, cuda, flops=flops, domains={"x": POSITIVE})


def _with_jumps(name: str, torch: str, cuda: str) -> Operator:
    return Operator(name, torch, _ONE, cuda, domains={"x": WIDE})


def _comparison(name: str, sign: str) -> Operator:
    return Operator(
        name, f"torch.{name}({{x}}, {{y}})", "x[...], y[...] -> out[...]: bool", f"{{x}} {sign} {{y}}",
        domains={"x": WIDE, "y": WIDE},
    )  # fmt: skip


def _logical(name: str, sign: str) -> Operator:
    return Operator(
        f"logical_{name}", f"torch.logical_{name}({{x}}, {{y}})", _LOGICAL, f"{{x}} {sign} {{y}}", flops=0,
        domains={"x": MASK, "y": MASK}, dtypes=("float32",),
    )  # fmt: skip


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
    Operator("expm1", "torch.expm1({x})", _ONE, "expm1f({x})", flops=4),
    Operator("exp2", "torch.exp2({x})", _ONE, "exp2f({x})", flops=4),
    Operator("erf", "torch.erf({x})", _ONE, "erff({x})", flops=4),
    Operator("erfc", "torch.erfc({x})", _ONE, "erfcf({x})", flops=4),
    Operator("sinh", "torch.sinh({x})", _ONE, "sinhf({x})", flops=4),
    Operator("cosh", "torch.cosh({x})", _ONE, "coshf({x})", flops=4),
    Operator("atan", "torch.atan({x})", _ONE, "atanf({x})", flops=4),
    Operator("asinh", "torch.asinh({x})", _ONE, "asinhf({x})", flops=4),
    Operator(
        "selu", "F.selu({x})", _ONE, "1.050701f * ({x} > 0.f ? {x} : 1.6732632f * expm1f({x}))", flops=7
    ),
    Operator(
        "mish", "F.mish({x})", _ONE, "{x} * tanhf(fmaxf({x}, 0.f) + log1pf(expf(-fabsf({x}))))", flops=16
    ),
    Operator("softsign", "F.softsign({x})", _ONE, "{x} / (1.f + fabsf({x}))", flops=3),
    Operator("relu6", "F.relu6({x})", _ONE, "fminf(fmaxf({x}, 0.f), 6.f)", flops=2),
    Operator(
        "hardsigmoid", "F.hardsigmoid({x})", _ONE, "fminf(fmaxf({x} + 3.f, 0.f), 6.f) / 6.f", flops=4
    ),
    Operator(
        "hardswish", "F.hardswish({x})", _ONE, "{x} * fminf(fmaxf({x} + 3.f, 0.f), 6.f) / 6.f", flops=5
    ),
    Operator(
        "logsigmoid", "F.logsigmoid({x})", _ONE, "fminf({x}, 0.f) - log1pf(expf(-fabsf({x})))", flops=11
    ),
    Operator("tanhshrink", "F.tanhshrink({x})", _ONE, "{x} - tanhf({x})", flops=5),
    Operator(
        "softshrink", "F.softshrink({x})", _ONE,
        "{x} > 0.5f ? {x} - 0.5f : {x} < -0.5f ? {x} + 0.5f : 0.f", flops=3,
    ),
    Operator(
        "gelu_tanh", "F.gelu({x}, approximate='tanh')", _ONE,
        "0.5f * {x} * (1.f + tanhf(0.79788456f * ({x} + 0.044715f * {x} * {x} * {x})))", flops=13,
    ),
    Operator(
        "celu", "F.celu({x}, {alpha})", _ONE, "{x} > 0.f ? {x} : {alpha}f * expm1f({x} / {alpha}f)",
        flops=6, attributes={"alpha": (1.5, 0.5)},
    ),
    Operator(
        "clamp", "torch.clamp({x}, {low}, {high})", _ONE, "fminf(fmaxf({x}, {low}f), {high}f)", flops=2,
        attributes={"low": (-0.5, 0.0), "high": (1.0, 0.75)},
    ),
    _of_positive("log", "logf({x})"),
    _of_positive("log2", "log2f({x})"),
    _of_positive("log10", "log10f({x})"),
    _of_positive("log1p", "log1pf({x})"),
    _of_positive("sqrt", "sqrtf({x})"),
    _of_positive("rsqrt", "rsqrtf({x})"),
    _of_positive("reciprocal", "1.f / {x}", flops=1),
    Operator("tan", "torch.tan({x})", _ONE, "tanf({x})", flops=4, domains={"x": UNIT}),
    Operator("asin", "torch.asin({x})", _ONE, "asinf({x})", flops=4, domains={"x": INSIDE}),
    Operator("acos", "torch.acos({x})", _ONE, "acosf({x})", flops=4, domains={"x": INSIDE}),
    Operator("atanh", "torch.atanh({x})", _ONE, "atanhf({x})", flops=4, domains={"x": INSIDE}),
    Operator(
        "pow", "torch.pow({x}, {exponent})", _ONE, "powf({x}, {exponent}f)", flops=4,
        attributes={"exponent": (2.5, 3.0, -1.5)}, domains={"x": POSITIVE},
    ),
    _with_jumps("floor", "torch.floor({x})", "floorf({x})"),
    _with_jumps("ceil", "torch.ceil({x})", "ceilf({x})"),
    _with_jumps("round", "torch.round({x})", "rintf({x})"),
    _with_jumps("trunc", "torch.trunc({x})", "truncf({x})"),
    _with_jumps("frac", "torch.frac({x})", "{x} - truncf({x})"),
    _with_jumps("sign", "torch.sign({x})", "(float)(({x} > 0.f) - ({x} < 0.f))"),
    _with_jumps("hardshrink", "F.hardshrink({x})", "fabsf({x}) > 0.5f ? {x} : 0.f"),
    _with_jumps("threshold", "F.threshold({x}, 0.5, 2.0)", "{x} > 0.5f ? {x} : 2.f"),
    Operator("div", "{x} / {y}", _TWO, "{x} / {y}", domains={"y": POSITIVE}),
    Operator("atan2", "torch.atan2({x}, {y})", _TWO, "atan2f({x}, {y})", flops=4, domains={"y": POSITIVE}),
    Operator(
        "lerp", "torch.lerp({x}, {y}, {weight})", "x[...], y[...], weight[...] -> out[...]",
        "{x} + {weight} * ({y} - {x})", flops=3, domains={"weight": UNIT},
    ),
    Operator("addcmul", "torch.addcmul({x}, {y}, {z})", _THREE, "{x} + {y} * {z}", flops=2),
    Operator(
        "addcdiv", "torch.addcdiv({x}, {y}, {z})", _THREE, "{x} + {y} / {z}", flops=2, domains={"z": POSITIVE}
    ),
    Operator(
        "where", "torch.where({mask}, {x}, {y})", "mask[...]: bool, x[...], y[...] -> out[...]",
        "{mask} ? {x} : {y}", domains={"mask": MASK},
    ),
    Operator(
        "masked_fill", "{x}.masked_fill({mask}, {value})", "x[...], mask[...]: bool -> out[...]",
        "{mask} ? {value}f : {x}", attributes={"value": (-2.0, 0.5)}, domains={"mask": MASK},
    ),
    _comparison("gt", ">"), _comparison("ge", ">="), _comparison("lt", "<"), _comparison("le", "<="),
    _logical("and", "&&"), _logical("or", "||"), _logical("xor", "!="),
)  # fmt: skip
