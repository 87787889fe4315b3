"""Transposed convolutions in one to three directions."""

from __future__ import annotations

from data.kernels import convolutions
from data.kernels.windows import area, transposed_extents
from data.operators.dims import VOLUME
from data.operators.operator import Operator


def _transposed(directions: int) -> Operator:
    inputs, sizes, outs = transposed_extents(directions)
    name = f"conv_transpose{directions}d"
    return Operator(
        name,
        f"F.{name}({{x}}, {{weight}}, {{bias}}, stride={{stride}}, padding={{padding}}, "
        "output_padding={output_padding}, groups={groups}, dilation={dilation})",
        f"x[b, groups * c, {inputs}], weight[groups * c, o, {sizes}], bias[groups * o] -> "
        f"out[b, groups * o, {outs}]",
        flops=f"2 * numel(x) * o * {area(sizes)}",
        attributes={
            "size": (3, 2, 5) if directions < 3 else (3, 2),
            **({"extra": (0, 2)} if directions > 1 else {}),
            "stride": (2, 1),
            "padding": (0, 1),
            "dilation": (1, 2),
            "groups": (1, 2),
            "output_padding": (0, 1),
        },
        dims={name: VOLUME[name] for name in "bcodhw"} if directions == 3 else {},
        writers=convolutions.writers(directions, transposed=True),
    )


OPERATORS = (_transposed(1), _transposed(2), _transposed(3))
