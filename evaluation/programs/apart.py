"""Sizes that tell apart what is equal as shipped: an image's height and width, literals of one value.

Such sizes stay equal in a problem's own check sizes, since a kernel may be written for squares. But one whose
launch lines name both extents takes them for two, and is judged where they differ: otherwise it could
confuse them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import combinations

from evaluation.candidate import Candidate
from evaluation.expressions import Dimension, Expression, Number, Operation, Size
from evaluation.problem import Instance, Problem
from evaluation.programs.program import SizeNames, instances_of
from evaluation.programs.resize import drawn_shapes
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import assignments, parse

_STEPS = (3, 4)
"""By how much one of them is made longer: strides and pairs may need an even number."""
_MOST_SITES = 6
_MOST = 2
"""Instances for one candidate."""

Named = str | tuple[str, int]
"""A named size, or an axis of an input."""


def told_apart(problem: Problem, candidate: Candidate, reference: ReferencePool) -> list[Instance]:
    """Versions of the smallest check instance in which extents differ that the candidate names both."""
    if problem.unresizable or not problem.checks:
        return []
    base = min(problem.checks, key=lambda one: sum(tensor.numel for tensor in one.inputs))
    named = set(_named(candidate, base))
    values = [value for name in named if (value := _value(name, base)) is not None]
    tied = {value for value in values if values.count(value) > 1}
    if not tied:
        return []
    programs = list(dict.fromkeys(text for value in sorted(tied) for text in _programs(base, value, named)))
    names = SizeNames(problem.shipped.program, problem.shipped.inputs)
    described = reference.describe_many(programs) if programs else []
    found = instances_of(programs, described, names)
    return [instance for instance in found if _tells(named, base, instance)][:_MOST]


def _named(candidate: Candidate, base: Instance) -> Iterator[Named]:
    """The sizes, and the extents of inputs, that stand in launch lines."""
    ranks = {tensor.name: len(tensor.shape) for tensor in base.inputs}
    for launch in candidate.launches:
        for leaf in _leaves((*launch.grid, *launch.block, launch.shared, *launch.arguments)):
            if isinstance(leaf, Size) and leaf.name in base.sizes:
                yield leaf.name
            elif isinstance(leaf, Dimension) and isinstance(leaf.index, Number) and leaf.tensor in ranks:
                yield leaf.tensor, int(leaf.index.value) % max(1, ranks[leaf.tensor])


def _leaves(expressions: Iterable[Expression]) -> Iterator[Expression]:
    for expression in expressions:
        if isinstance(expression, Operation):
            yield from _leaves(expression.operands)
        else:
            yield expression


def _value(name: Named, instance: Instance) -> int | None:
    if isinstance(name, str):
        return instance.sizes.get(name)
    shapes = {tensor.name: tensor.shape for tensor in instance.inputs}
    return shapes[name[0]][name[1]] if shapes.get(name[0]) else None


def _tells(named: set[Named], base: Instance, found: Instance) -> bool:
    """Whether the ranks are the same, and of two equal extents that are named one has changed."""
    if any(len(one.shape) != len(other.shape) for one, other in zip(base.inputs, found.inputs, strict=True)):
        return False
    pairs = {(_value(name, base), _value(name, found)) for name in named}
    return any(
        was == now and (was, other) in pairs for was, now in pairs for _, other in pairs if other != was
    )


def _programs(base: Instance, value: int, named: set[Named]) -> Iterator[str]:
    """The program with one place where `value` is written changed, or two, or the same axis of all inputs.

    A constant that the candidate does not name may be replaced where it is used.
    """
    tree = parse(base.program)
    drawn = {node.id for shape in drawn_shapes(tree) for node in shape if isinstance(node, ast.Name)}
    constants = [
        node
        for name, node in assignments(tree.body)
        if isinstance(node, ast.Constant) and node.value == value and name in named and name in drawn
    ]
    fixed = {name for name in named if isinstance(name, str)}
    extents: list[tuple[int, ast.expr, list[ast.expr]]] = []
    for shape in drawn_shapes(tree):
        for axis, node in enumerate(shape):
            is_value = isinstance(node, ast.Constant) and node.value == value
            is_name = isinstance(node, ast.Name) and node.id not in fixed and base.sizes.get(node.id) == value
            if is_value or is_name:
                extents.append((axis, node, shape))
    for step in _STEPS:
        for node in constants:
            node.value = value + step
            yield ast.unparse(tree) + "\n"
            node.value = value
        for chosen in _choices(extents[:_MOST_SITES]):
            before = [(shape, axis, node) for axis, node, shape in chosen]
            for shape, axis, _ in before:
                shape[axis] = ast.Constant(value + step)
            yield ast.unparse(tree) + "\n"
            for shape, axis, node in before:
                shape[axis] = node


def _choices(
    extents: list[tuple[int, ast.expr, list[ast.expr]]],
) -> Iterator[list[tuple[int, ast.expr, list[ast.expr]]]]:
    for axis in sorted({axis for axis, _, _ in extents}):
        yield [extent for extent in extents if extent[0] == axis]
    for count in (1, 2):
        for chosen in combinations(extents, count):
            yield list(chosen)
