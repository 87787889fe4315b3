"""Signatures: the shapes of an operator's operands and results, as text.

    x[b, groups * c, h, w], weight[groups * o, c, size, size] -> out[b, groups * o, p = h - size + 1, ...]

Extents are expressions of the launch grammar over the operator's dimensions and attributes. `p = ...` names
an extent of a result, so that kernels can speak of it. A shape may begin with `...`: any extents, the same
for all operands, or broadcast to each other. `target[m]: int64` states a dtype; without one a tensor has
the graph's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from data.operators import extents
from data.operators.extents import Shape
from evaluation.expressions import Expression

_TENSOR = re.compile(r"\s*(?P<name>\w+)\[(?P<shape>[^\[\]]*)\](?:\s*:\s*(?P<dtype>\w+))?\s*(?:,|$)")
_NAMED = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?P<extent>.+)")
_COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True)
class TensorPattern:
    """An operand or a result."""

    name: str
    shape: Shape
    """Extents behind the leading ones."""
    leading: bool
    """Whether any extents may come first."""
    dtype: str | None
    """None for the graph's."""
    named: tuple[tuple[str, Expression], ...] = ()
    """Extents with names of their own."""


@dataclass(frozen=True)
class Signature:
    """What an operator takes and gives."""

    operands: tuple[TensorPattern, ...]
    results: tuple[TensorPattern, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the extents: results first, then operands, in order of appearance."""
        shapes = [pattern.shape for pattern in (*self.results, *self.operands)]
        found = [name for shape in shapes for extent in shape for name in sorted(extents.names_in(extent))]
        return tuple(dict.fromkeys(found))


@cache
def parse(text: str) -> Signature:
    """Read a signature; raises ValueError for a text that is none."""
    operands, arrow, results = text.partition("->")
    if not arrow:
        raise ValueError(f"the signature {text!r} has no ->")
    return Signature(_tensors(operands), _tensors(results))


def _tensors(text: str) -> tuple[TensorPattern, ...]:
    found, end = [], 0
    while end < len(text.rstrip()):
        match = _TENSOR.match(text, end)
        if match is None:
            raise ValueError(f"{text[end:].strip()!r} is no tensor; write name[extent, ...]")
        found.append(_tensor(match["name"], match["shape"], match["dtype"]))
        end = match.end()
    return tuple(found)


def _tensor(name: str, text: str, dtype: str | None) -> TensorPattern:
    parts = [part.strip() for part in _COMMA.split(text) if part.strip()]
    leading = parts[:1] == ["..."]
    shape, named = [], []
    for part in parts[leading:]:
        alias = _NAMED.fullmatch(part)
        extent = extents.read(alias["extent"] if alias else part)
        shape.append(extent)
        if alias:
            named.append((alias["name"], extent))
    return TensorPattern(name, tuple(shape), leading, dtype, tuple(named))
