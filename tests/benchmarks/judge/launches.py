"""Reads launch and scratch lines by itself (not with the judge's parser), for kernels of our own writing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]

_LAUNCH = re.compile(r"^// launch (\w+)<<<(.*)>>>\((.*)\)$", re.MULTILINE)
_SCRATCH = re.compile(r"^// scratch (\w+) (\w+)\[(.*)\]$", re.MULTILINE)


@dataclass(frozen=True)
class Launch:
    """One launch with every expression worked out; buffers among the arguments are names."""

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    arguments: tuple[str | int | float, ...]


@dataclass(frozen=True)
class Plan:
    """The launches at one choice of sizes, and the shape and dtype of each scratch buffer."""

    launches: tuple[Launch, ...]
    scratch: Mapping[str, tuple[Shape, str]]


def plan(text: str, sizes: Mapping[str, int], shapes: Mapping[str, Shape]) -> Plan:
    """Work out the launches of a kernel's text.

    Args:
        text: the `.cu` source.
        sizes: the program's named sizes.
        shapes: of every input and output, by name.

    Raises ZeroDivisionError, ValueError or NameError where an expression of a mutant makes no sense.
    """
    scratch: dict[str, tuple[Shape, str]] = {}
    scope = {**sizes, **_functions(shapes)}
    for name, dtype, shape in _SCRATCH.findall(text):
        scratch[name] = (tuple(map(int, _values(shape, scope))), dtype)
    names = {name: name for name in (*shapes, *scratch)}
    launches = tuple(_launch(*found, scope, names) for found in _LAUNCH.findall(text))
    if not launches:
        raise ValueError("no launch line")
    return Plan(launches, scratch)


def _launch(
    kernel: str, chevrons: str, arguments: str, scope: Mapping[str, object], names: Mapping[str, str]
) -> Launch:
    grid, block, *shared = _values(chevrons, scope)
    return Launch(
        kernel, _extent(grid), _extent(block), int(shared[0]) if shared else 0,
        tuple(_values(arguments, {**scope, **names})),
    )  # fmt: skip


def _values(text: str, scope: Mapping[str, object]) -> list:
    return list(eval(f"[{text.replace('/', '//')}]", {"__builtins__": {}}, dict(scope)))


def _extent(value: object) -> tuple[int, int, int]:
    extent = value if isinstance(value, tuple) else (int(value), 1, 1)  # type: ignore[call-overload]
    if min(extent) < 1:
        raise ValueError("an extent of a launch is below 1")
    return extent


def _functions(shapes: Mapping[str, Shape]) -> dict[str, object]:
    return {
        **{name: name for name in shapes},
        "numel": lambda name: math.prod(shapes[name]),
        "size": lambda name, axis: shapes[name][axis],
        "ceil_div": lambda a, b: -(-a // b),
        "min": min,
        "max": max,
        "dim3": lambda x, y=1, z=1: (x, y, z),
    }
