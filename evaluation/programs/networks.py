"""Whole networks at other sizes: every width times one share, images and sequences short, the rest learnt.

A network writes its sizes as dozens of literals that hang together: channels that add up in a branch, parts
of an image's side, the features that are left when an image is flattened. So all widths change by one share
at once, what is part of a side changes with it, and what follows from everything else is learnt from the
program's own complaint: a layer that got 128 features instead of the 9216 it expects is given 128.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import product
from math import prod

from evaluation.programs.resize import FoldArithmetic, Place, Resizer, Size
from evaluation.programs.sizes import SMALL, ragged
from evaluation.reference.pool import Survey
from evaluation.reference.syntax import DRAWING, parse

_SHARES = tuple(Fraction(*pair) for pair in ((1, 4), (3, 16), (1, 8), (1, 16), (3, 64), (1, 32), (1, 64)))
"""By which all widths are multiplied: few networks hang together at shares that are not round."""
_SHARES_TRIED = 3
_UNITS = (8, 12)
_BATCHES = (3, 2)
_ROUGHLY = 2.0
"""How far the work may be over its cap by a rough estimate."""
_MISMATCHES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\(\d+x(?P<got>\d+) and (?P<said>\d+)x\d+\)",
        r"got \[\d+, (?P<got>\d+)\] X \[(?P<said>\d+), \d+\]",
        r"to have (?P<said>\d+) channels, but got (?P<got>\d+) channels",
        r"normalized_shape=\[(?P<said>\d+)\].*size\[(?:\d+, )*(?P<got>\d+)\]",
        r"size of tensor a \((?P<got>\d+)\) must match the size of tensor b \((?P<said>\d+)\)",
    )
)
"""How torch says that a layer got something else than it expects."""
_FLATTENED = re.compile(r"shape '\[-1, (\d+)\]' is invalid for input of size (\d+)")


class _Role(StrEnum):
    """What a size is to a network."""

    SIDE = "side"  #: of an image
    BATCH = "batch"  #: the first extent of an input
    LENGTH = "length"  #: another extent of an input only
    WIDTH = "width"  #: an extent of parameters
    GROUPS = "groups"  #: parts of a width
    PART = "part"  #: a literal of the layers that may be part of a side


@dataclass(frozen=True)
class Recipe:
    """One way to make a network small."""

    share: Fraction
    """Of every width."""
    sides: tuple[int, int]
    """Sides of images: the first, and all others."""
    batch: int
    parts: bool
    """Whether literals that are parts of a side follow it."""
    everything: bool
    """Whether groups, and large literals that are no dimension, take the share too."""
    unit: int = 1
    """What every width is a multiple of: parts of parts, each of several groups."""


class Network:
    """A program whose sizes are to change together."""

    def __init__(
        self, resizer: Resizer, shipped: Survey, rng: random.Random, elements: int, work: int
    ) -> None:
        """`elements` of a parameter and `work` are the caps."""
        self._most, self._work = elements, work
        self.resizer, self._shipped, self._rng = resizer, shipped, rng
        images = [tensor.shape[2:] for tensor in shipped.inputs if len(tensor.shape) > 3]
        self._sides = {extent for image in images for extent in image if extent > SMALL}
        self._widths = {extent for tensor in shipped.parameters for extent in tensor.shape}
        self._area = max((prod(image[-2:]) for image in images), default=1)
        self._batch = max((tensor.shape[0] for tensor in shipped.inputs if tensor.shape), default=1)
        self._batches = {tensor.shape[0] for tensor in shipped.inputs if tensor.shape}
        self._roles = {size: self._role(size) for size in resizer.sizes}
        self._named_sides = [
            (size.name, size.value) for size, role in self._roles.items() if role is _Role.SIDE and size.name
        ]

    def recipes(self) -> list[list[Recipe]]:
        """Recipes of one size each, the largest images first: in each from nothing else changed to all."""
        found = []
        for sides, batch in product(self._side_choices(), _BATCHES):
            for share in [share for share in _SHARES if self._fits(sides, batch, share)][:_SHARES_TRIED]:
                others = [(parts, everything, 1) for parts, everything in product((False, True), repeat=2)]
                others += [(False, False, unit) for unit in _UNITS]
                recipes = [Recipe(share, sides, batch, *other) for other in others]
                found.append([one for one in recipes if not one.parts or sides[0] == sides[1]])
        return found

    def sizes(self, recipe: Recipe) -> dict[Size, int]:
        """New values for all sizes."""
        lengths = iter(self._rng.sample(range(5, 13), 8))
        sides: dict[str, int] = {}
        new = {}
        for size, role in self._roles.items():
            if role is _Role.SIDE:
                like = next((name for name, value in self._named_sides if value == size.value), "")
                side = sides.setdefault(size.name or like, recipe.sides[min(len(sides), 1)])
                new[size] = min(side, size.value)
            elif role is _Role.BATCH:
                new[size] = min(recipe.batch, size.value)
            elif role is _Role.LENGTH:
                new[size] = min(next(lengths, 5), size.value)
            else:
                new[size] = self._scaled(size, role, recipe)
        return new

    def _scaled(self, size: Size, role: _Role, recipe: Recipe) -> int:
        """What a size of the layers becomes."""
        is_width = size.value > SMALL and size.value in self._widths
        if role is _Role.PART and recipe.parts and not is_width:
            for side in sorted(self._sides):
                odd = side // (side & -side)
                follows = size.value % odd == 0 and side % size.value == 0
                if follows and size.value * recipe.sides[0] % side == 0:
                    return size.value * recipe.sides[0] // side
        if is_width or (recipe.everything and size.value > SMALL):
            if recipe.unit > 1:
                return self._in_units(size.value, recipe)
            return self._small(size.value, recipe.share)
        if recipe.everything and role is _Role.GROUPS:
            return max(2, size.value // 4)
        return size.value

    def _role(self, size: Size) -> _Role:
        if size.place is Place.GROUPS:
            return _Role.GROUPS
        if size.place in (Place.BODY, Place.OTHER):
            return _Role.PART
        drawn = size.place is Place.INPUTS
        if drawn and size.value in self._sides:
            return _Role.SIDE
        if not drawn or (size.value in self._widths and self.resizer.is_made(size)):
            return _Role.WIDTH
        return _Role.BATCH if size.value in self._batches else _Role.LENGTH

    def _in_units(self, width: int, recipe: Recipe) -> int:
        """A multiple of the unit; different widths stay different."""
        taken = 0
        for value in sorted({size.value for size in self._roles if size.value in self._widths} | {width}):
            if value > SMALL:
                taken = max(recipe.unit * int(value * recipe.share / recipe.unit), taken + recipe.unit)
            if value == width:
                break
        return taken

    def _fits(self, sides: tuple[int, int], batch: int, share: Fraction) -> bool:
        """Whether parameters and inputs stay within the cap, and work about so, as that of products does."""
        extents = [tensor.shape for tensor in self._shipped.parameters]
        elements = [prod(self._small(extent, share) for extent in shape) for shape in extents]
        images = [tensor.shape for tensor in self._shipped.inputs if len(tensor.shape) > 3]
        elements += [batch * self._small(shape[1], share) * prod(sides) for shape in images]
        image = prod(sides) / max(1, self._area)
        work = self._shipped.flops * min(image, 1) * float(share) ** 2 * batch / max(1, self._batch)
        return max(elements, default=0) <= self._most and work <= _ROUGHLY * self._work

    @staticmethod
    def _small(extent: int, share: Fraction) -> int:
        return max(2, int(extent * share)) if extent > SMALL else extent

    def _side_choices(self) -> list[tuple[int, int]]:
        """Ragged sides, then what can be halved five times; not the same for height and width at first."""
        if not self._sides:
            return [(0, 0)]
        first, second = (ragged(34, 47, self._rng) for _ in range(2))
        named = len(self._named_sides) > 1
        apart = [(first, second), (64, 32), (32, 64)] if named else [(first, first)]
        return [*apart, (64, 64), (96, 96), (32, 32)]


def mended(program: str, reason: str, batches: Sequence[int]) -> str | None:
    """`program` with what it expects where its complaint says what it got; `None` if that does not help."""
    flat = _FLATTENED.search(reason)
    if flat:
        batch = next((batch for batch in batches if int(flat[2]) % batch == 0), None)
        return _replaced(program, int(flat[1]), int(flat[2]) // batch) if batch else None
    for pattern in _MISMATCHES:
        found = pattern.search(reason)
        if found:
            return _replaced(program, int(found["said"]), int(found["got"]))
    return None


def _replaced(program: str, said: int, got: int) -> str | None:
    """The program with one number of its layers replaced, also where it is a product of literals."""
    tree = parse(program)
    changed = False
    for definition in tree.body:
        if isinstance(definition, ast.ClassDef | ast.FunctionDef) and definition.name not in DRAWING:
            FoldArithmetic().visit(definition)
            for node in ast.walk(definition):
                if isinstance(node, ast.Constant) and type(node.value) is int and node.value == said:
                    node.value, changed = got, True
    return ast.unparse(tree) + "\n" if changed else None
