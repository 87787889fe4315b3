"""Draws graphs over all operators: of 1, 2, 3, 5 or 10 operators, with reuse, several inputs and outputs.

One graph in four follows the way of a layer instead: a product or convolution, then norms, activations,
pooling, scaling and residuals, as KernelBench's second level does. What an operator may be there follows from
its signature. Every graph has a random stream of its own, by its number, so that any process can draw it. A
graph that is degenerate (`data.screen`), or too large, is drawn again.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import torch

from data.building import Builder, ShapeError
from data.graph import Graph
from data.operators import extents
from data.operators.domains import ANY
from data.operators.operator import Operator
from data.rendering import check_instance, flops, problem
from data.screen import defect
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split

LEVELS = (1, 2, 3, 5, 10)
"""Operators of a graph, by its level from 0."""
_LAYER_SHARE = 0.25
_LAST_SHARE = 0.7
"""How often an operator takes what the last one gave, rather than any value before."""
_OWN_SHARE = 0.6
"""How often a further operand is an input of its own, rather than a value that is there."""
_MOST_OUTPUTS = 3
_TRIES_AN_OPERATOR, _TRIES_A_GRAPH = 12, 80
_HALF_SHARE = 0.3
_MOST_FLOPS, _MOST_BYTES, _MOST_SHIPPED_ELEMENTS = 4e12, 4e9, 2.5e8
"""At the shipped sizes, the elements of the largest value."""
_MOST_ELEMENTS, _MOST_CHECK_FLOPS = 60_000, 8e6
"""Of all tensors, and for all operators, where a graph is screened: a CPU has to do it thread by thread."""
_WORTH_PROCESSES, _WINDOW = 200, 32
"""Graphs for which starting processes pays, and the numbers that one is given at a time."""
_LEAST_YIELD = 20
"""Of so many numbers one must give a graph."""


class Part(StrEnum):
    """What an operator can be in a layer."""

    HEAD = "head"  #: takes a weight of its own: a convolution, a product
    BODY = "body"  #: gives the shape that it takes, and is not elementwise: a norm, a softmax
    POINT = "point"  #: elementwise on one value
    JOIN = "join"  #: elementwise on two
    TAIL = "tail"  #: changes the shape: pooling, reductions


@dataclass(frozen=True)
class Composed:
    """A graph with its problem, and how many drawn before it were thrown away, by reason."""

    graph: Graph
    problem: Problem
    rejected: Mapping[str, int]


def compose(
    operators: Mapping[str, Operator],
    number: int,
    *,
    seed: str,
    split: Split,
    tolerance: float,
    accept: Callable[[Graph], bool] = lambda _graph: True,
) -> Composed | None:
    """The graph of this number, whose level goes by the number; None if no draw is any good.

    Graphs that `accept` does not take are drawn again.
    """
    count = LEVELS[number % len(LEVELS)]
    ordered = [operators[name] for name in sorted(operators)]
    rejected: Counter[str] = Counter()
    for attempt in range(_TRIES_A_GRAPH):
        rng = random.Random(f"{seed}/{number}/{attempt}")
        graph = _draw(ordered, count, rng)
        if graph is None:
            rejected["shapes that do not fit"] += 1
        elif not accept(graph):
            rejected["of another split"] += 1
        else:
            try:
                reason = _too_much(graph) or defect(graph)
            except ValueError:  # a window that fits at no size
                reason = "no sizes that fit"
            except RuntimeError:  # attributes that torch does not take together
                reason = "does not run"
            made = problem(graph, split, tolerance, f"{seed}/{number}") if reason is None else None
            if made is not None and not _is_large(graph, made):
                return Composed(graph, made, rejected)
            rejected[str(reason or "too much work")] += 1
    return None


def _is_large(graph: Graph, made: Problem) -> bool:
    """Whether the program is too much for a GPU at its shipped sizes."""
    values = (value.shape for value in graph.values.values())
    largest = max(extents.value(extents.product(shape), made.shipped.sizes) for shape in values)
    return made.flops > _MOST_FLOPS or made.bytes > _MOST_BYTES or largest > _MOST_SHIPPED_ELEMENTS


def compose_many(
    count: int, operators: Mapping[str, Operator], *, workers: int = 1, **options: Any
) -> Iterator[Composed]:
    """So many graphs, in the order of their numbers, whatever the number of processes; see `compose`.

    Raises WarpsmithError where hardly any draw is any good.
    """
    one = partial(compose, operators, **options)
    found, tried = 0, 0
    with ExitStack() as stack:
        several = workers > 1 and count >= _WORTH_PROCESSES
        start = partial(ProcessPoolExecutor, workers, get_context("spawn"), torch.set_num_threads, (1,))
        pool = stack.enter_context(start()) if several else None
        while found < count:
            window = range(tried, tried + _WINDOW * (workers if several else 1))
            tried = window.stop
            for each in pool.map(one, window, chunksize=8) if pool else map(one, window):
                if each is not None and found < count:
                    found += 1
                    yield each
            if found < tried / _LEAST_YIELD:
                raise WarpsmithError(
                    f"only {found} of {tried} graphs of the chosen operators came about; choose more of them"
                )


@cache
def part(operator: Operator) -> Part:
    """What an operator can be in a layer, by its signature."""
    shapes = operator.shapes
    if operator.elementwise:
        return Part.POINT if len(shapes.operands) == 1 else Part.JOIN
    first, result = shapes.operands[0], shapes.results[0]
    same = (first.shape, first.leading) == (result.shape, result.leading)
    if same and result.dtype is None:
        return Part.BODY
    own = [one for one in shapes.operands[1:] if operator.domain(one.name) is ANY and one.dtype is None]
    return Part.HEAD if own and result.shape and result.dtype is None else Part.TAIL


def _draw(operators: Sequence[Operator], count: int, rng: random.Random) -> Graph | None:
    """One graph of so many operators; None if it did not come about."""
    dtype = "float32" if rng.random() >= _HALF_SHARE else rng.choice(("float16", "bfloat16"))
    able = [operator for operator in operators if dtype in operator.dtypes]
    builder, values = Builder(dtype), list[str]()
    as_layer = count > 1 and rng.random() < _LAYER_SHARE
    simple = [operator for operator in able if part(operator) is Part.POINT]
    for place in range(count):
        wanted = _parts(place, count, as_layer)
        fit = [one for one in able if part(one) in wanted]
        if not _grow(builder, values, fit, rng) and not _grow(builder, values, simple, rng):
            return None
    graph = builder.graph(*_sinks(builder, values, rng))
    return graph if len(graph.nodes) == count else None


def _parts(place: int, count: int, as_layer: bool) -> frozenset[Part]:
    """What may stand at a place of a graph."""
    if not as_layer:
        return frozenset(Part)
    if place == 0:
        return frozenset({Part.HEAD})
    middle = {Part.BODY, Part.POINT, Part.JOIN}
    return frozenset({*middle, Part.TAIL} if place == count - 1 else middle)


def _grow(builder: Builder, values: list[str], operators: Sequence[Operator], rng: random.Random) -> bool:
    """Add one operator to the graph, and what it gives to `values`."""
    elementwise = [operator for operator in operators if operator.elementwise]
    others = [operator for operator in operators if not operator.elementwise]
    for _ in range(_TRIES_AN_OPERATOR):
        pool = elementwise if elementwise and (not others or rng.random() < 0.5) else others
        if not pool:
            return False
        operator = rng.choice(pool)
        attributes = {name: rng.choice(list(choices)) for name, choices in operator.attributes.items()}
        try:
            values += builder.add(operator, _operands(operator, values, builder.read, rng), attributes)
        except (ShapeError, ValueError):
            continue
        return True
    return False


def _operands(
    operator: Operator, values: Sequence[str], read: Collection[str], rng: random.Random
) -> list[str | None]:
    """Values for the operands that can take one, the unread ones preferred; None becomes an input."""
    found: list[str | None] = []
    waiting = [name for name in values if name not in read]
    for index, name in enumerate(operator.operands):
        if not values or operator.domain(name) is not ANY or (index and rng.random() < _OWN_SHARE):
            found.append(None)
        elif len(waiting) >= _MOST_OUTPUTS:
            found.append(rng.choice(waiting))
        else:
            others = waiting if waiting and rng.random() < 0.5 else values
            found.append(values[-1] if rng.random() < _LAST_SHARE else rng.choice(others))
    return found


def _sinks(builder: Builder, values: Sequence[str], rng: random.Random) -> list[str]:
    """The values that nothing reads, the last among them, and now and then one that is read as well."""
    read = builder.read
    unread = [name for name in values if name not in read][-_MOST_OUTPUTS:]
    inner = [name for name in values if name in read]
    if inner and len(unread) < _MOST_OUTPUTS and rng.random() < 0.1:
        unread.insert(0, rng.choice(inner))
    return unread


def _too_much(graph: Graph) -> str | None:
    """Why a graph is too large to be judged on a CPU."""
    small = check_instance(graph)
    tensors = (*small.inputs, *small.outputs)
    if sum(math.prod(tensor.shape) for tensor in tensors) > _MOST_ELEMENTS:
        return "too many elements"
    return "too much work" if flops(graph, small.sizes) > _MOST_CHECK_FLOPS else None
