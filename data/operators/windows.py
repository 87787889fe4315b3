"""Convolutions in one to three directions."""

from __future__ import annotations

from data.kernels import convolutions, patches
from data.kernels.windows import area, extents
from data.operators.dims import VOLUME
from data.operators.operator import Operator

_ATTRIBUTES = {"size": (3, 1, 5), "stride": (1, 2), "padding": (0, 1), "dilation": (1, 2), "groups": (1, 2)}
_UNEVEN = {"size": (3, 1, 5), "extra": (0, 2)}
_STEPS = "stride={stride}, padding={padding}, dilation={dilation}"


def _convolution(directions: int) -> Operator:
    inputs, sizes, outs = extents(directions)
    name = f"conv{directions}d"
    return Operator(
        name,
        f"F.{name}({{x}}, {{weight}}, {{bias}}, {_STEPS}, groups={{groups}})",
        f"x[b, groups * c, {inputs}], weight[groups * o, c, {sizes}], bias[groups * o] -> "
        f"out[b, groups * o, {outs}]",
        flops=f"2 * numel(out) * c * {area(sizes)}",
        attributes=_ATTRIBUTES if directions == 1 else _ATTRIBUTES | _UNEVEN,
        dims={name: VOLUME[name] for name in "bcodhw"} if directions == 3 else {},
        writers=convolutions.writers(directions),
    )


def _depthwise(directions: int) -> Operator:
    """Each channel by itself: `groups` is the number of channels, which is no attribute but a dimension."""
    inputs, sizes, outs = extents(directions)
    name = f"conv{directions}d"
    return Operator(
        f"depthwise_{name}",
        f"F.{name}({{x}}, {{weight}}, {{bias}}, {_STEPS}, groups={{c}})",
        f"x[b, c, {inputs}], weight[c, 1, {sizes}], bias[c] -> out[b, c, {outs}]",
        flops=f"2 * numel(out) * {area(sizes)}",
        attributes={
            name: values for name, values in (_ATTRIBUTES | _UNEVEN).items()
            if name != "groups" and (name != "extra" or directions > 1)
        },
        writers=patches.writers(directions, patches.DEPTHWISE),
    )  # fmt: skip


OPERATORS = (
    _convolution(1),
    _convolution(2),
    _convolution(3),
    _depthwise(1),
    _depthwise(2),
)
