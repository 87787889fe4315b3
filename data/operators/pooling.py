"""Pools: the largest element of a window, or its mean."""

from __future__ import annotations

from data.kernels import patches, segments
from data.kernels.folds import total
from data.kernels.segments import Segments
from data.kernels.windows import area, extents
from data.operators.dims import VOLUME
from data.operators.operator import Attribute, Operator


def _pool(
    directions: int, kind: str, patch: patches.Patch, own: str, values: tuple[Attribute, Attribute]
) -> Operator:
    """A pool with one attribute of its own.

    PyTorch has no mean of volumes in half precision on a CPU, where references run, and takes no volume
    that is smaller than the window, padding or not.
    """
    inputs, sizes, outs = extents(directions, plain=own != "dilation")
    name = f"{kind}_pool{directions}d"
    return Operator(
        name,
        f"F.{name}({{x}}, {{size}}, stride={{stride}}, padding={{padding}}, {own}={{{own}}})",
        f"x[b, c, {inputs}] -> out[b, c, {outs.replace(' + extra', '')}]",
        flops=f"numel(out) * {area(sizes.replace(' + extra', ''))}",
        attributes={"size": (2, 3), "stride": (2, 1), "padding": (0, 1), own: values},
        room=tuple(f"{extent} - size + 1" for extent in "dhw") if directions == 3 else (),
        dims={name: VOLUME[name] for name in "bcdhw"} if directions == 3 else {},
        dtypes=("float32",) if (kind, directions) == ("avg", 3) else ("float32", "float16", "bfloat16"),
        writers=patches.writers(directions, patch),
    )


_DIRECTIONS = (1, 2, 3)

OPERATORS = (
    *(_pool(n, "max", patches.MAXIMUM, "dilation", (1, 2)) for n in _DIRECTIONS),
    *(_pool(n, "avg", patches.MEAN, "count_include_pad", (True, False)) for n in _DIRECTIONS),
    Operator(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d({x}, 1)",
        "x[b, c, h, w] -> out[b, c, 1, 1]",
        "s / span",
        (total(),),
        writers=segments.writers(Segments("b * c", "h * w", "r * span + j")),
    ),
)
