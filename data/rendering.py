"""A graph as a PyTorch program in the `fused_operator` dialect, and as a `Problem` at drawn sizes.

The program's sizes are module-level constants. The shipped ones and the problem's id follow from the graph
alone, those that it is judged at from a seed, too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from math import prod

from data.graph import Graph, Input, Node, Value
from data.operators import extents
from data.operators.dims import Kind
from data.operators.extents import python_text
from evaluation.problem import DTYPE_BYTES, Dialect, Instance, Problem, Split, Tensor
from evaluation.programs import sizes
from evaluation.tolerance import TOLERANCE

Sizes = Mapping[str, int]

_LADDER_ELEMENTS = 160_000
"""Of the largest tensor at the long sizes: every problem of a night is tried at some of them."""
_MOST_LEVEL = 4
"""Of a problem, however many operators it has."""
_GROWTH = 400
"""Most steps by which sizes grow until every tensor has elements."""


def output_names(graph: Graph) -> dict[str, str]:
    """`out`, or `out0`, `out1`, ..., by the values that the program returns."""
    if len(graph.outputs) == 1:
        return {graph.outputs[0]: "out"}
    return {name: f"out{index}" for index, name in enumerate(graph.outputs)}


def body(graph: Graph) -> str:
    """The statements of the function, one node a line, indented by four blanks."""
    lines = [f"{', '.join(result.name for result in node.results)} = {node.torch()}" for node in graph.nodes]
    last = graph.nodes[-1] if graph.nodes else None
    if last is not None and [result.name for result in last.results] == list(graph.outputs):
        lines[-1] = f"return {last.torch()}"
    else:
        lines.append(f"return {', '.join(graph.outputs)}")
    return "\n".join(f"    {line}" for line in lines)


def program(graph: Graph, extents_of: Sizes) -> str:
    """Program text at the given sizes."""
    uses_functional = any("F." in node.operator.torch for node in graph.nodes)
    constants = "\n".join(f"{name} = {extents_of[name]}" for name, _ in graph.sizes)
    return (
        "import torch\n"
        + ("import torch.nn.functional as F\n" if uses_functional else "")
        + f"\n{constants}\n\n\n"
        + f"def get_inputs():\n    return [{', '.join(map(_drawn, graph.inputs))}]\n\n\n"
        + f"def fused_operator({', '.join(value.name for value in graph.inputs)}):\n{body(graph)}\n"
    )


def instance(graph: Graph, extents_of: Sizes) -> Instance:
    """The program with its tensors, at sizes near the given ones at which it can run."""
    fitting = _fitting(graph, extents_of)

    def tensor(name: str, value: Value) -> Tensor:
        return Tensor(name=name, shape=_numbers(value, fitting), dtype=value.dtype)

    return Instance(
        program=program(graph, fitting),
        sizes=dict(fitting),
        inputs=tuple(tensor(value.name, value) for value in graph.inputs),
        outputs=tuple(tensor(name, graph.values[value]) for value, name in output_names(graph).items()),
    )


def check_instance(graph: Graph) -> Instance:
    """Ragged sizes that are always the same: where a drawn graph is screened."""
    return instance(graph, {name: kind.checks[0] for name, kind in graph.sizes})


def narrow_instance(graph: Graph) -> Instance:
    """Sizes at which an input shows whose influence is lost at the usual ones."""
    return instance(graph, {name: kind.narrow for name, kind in graph.sizes})


def problem(graph: Graph, split: Split, tolerance: float, seed: str = "") -> Problem:
    """The problem of a graph.

    Args:
        graph: what to compute.
        split: what the problem may be used for.
        tolerance: allowed relative error, unless the graph's dtype needs more.
        seed: what the sizes that it is judged at are drawn from, but for the aligned ones.
    """
    shipped = instance(graph, _shipped_sizes(graph))
    digest = hashlib.sha256(shipped.program.encode()).hexdigest()
    rng = random.Random(f"{seed}/{digest}")
    return Problem(
        id=f"gen-{digest[:12]}",
        source="generated",
        level=min(len(graph.nodes), _MOST_LEVEL),
        split=split,
        dialect=Dialect.FUNCTION,
        operators=graph.operators,
        shipped=shipped,
        checks=tuple(instance(graph, _near(graph, place, rng)) for place in (0, 1)),
        ladder=tuple(_ladder(graph, shipped.sizes, rng)),
        aligned=tuple(
            instance(graph, {name: kind.aligned[place] for name, kind in graph.sizes}) for place in (0, 1)
        ),
        tolerance=tolerance if graph.dtype == "float32" else max(tolerance, TOLERANCE[graph.dtype]),
        flops=flops(graph, shipped.sizes),
        bytes=sum(tensor.nbytes for tensor in shipped.outputs)
        + sum(_bytes_read(graph, value, shipped.sizes) for value in graph.inputs),
    )


def flops(graph: Graph, extents_of: Sizes) -> int:
    """Estimate of the floating-point operations at the given sizes."""
    return sum(_flops(graph, node, extents_of) for node in graph.nodes)


def _drawn(value: Input) -> str:
    """The expression that draws an input."""
    shape = ", ".join(python_text(extent) for extent in value.shape)
    dims = {name: python_text(extent) for name, extent in value.dims}
    return value.domain.draw(shape, value.dtype, dims)


def _numbers(value: Value, extents_of: Sizes) -> tuple[int, ...]:
    return tuple(extents.value(extent, extents_of) for extent in value.shape)


def _fitting(graph: Graph, extents_of: Sizes) -> Sizes:
    """The given sizes, longer where a window would not fit or a tensor would be empty."""
    grown = dict(extents_of)
    wanted = [extent for value in graph.values.values() for extent in value.shape]
    wanted += [extent for node in graph.nodes for extent in node.room()]
    for _ in range(_GROWTH):
        short = next((extent for extent in wanted if extents.value(extent, grown) < 1), None)
        if short is None:
            return grown
        for name in extents.names_in(short):
            grown[name] += 1
    raise ValueError(f"{'+'.join(graph.operators)}: some tensor is empty at all sizes")


def _shipped_sizes(graph: Graph) -> Sizes:
    """Sizes drawn from the graph's own text, so that the same graph is always the same program; all differ if
    their kinds allow it, so that a shape can be told from its numbers."""
    rng = random.Random(f"{graph.layout}/{body(graph)}")
    found: dict[str, int] = {}
    for name, kind in graph.sizes:
        left = [extent for extent in kind.shipped if extent not in found.values()]
        found[name] = rng.choice(left or kind.shipped)
    return found


def _near(graph: Graph, place: int, rng: random.Random) -> Sizes:
    """Ragged sizes within a fifth of the kinds' check sizes."""

    def drawn(kind: Kind) -> int:
        extent = kind.checks[place]
        return sizes.ragged(round(0.8 * extent), round(1.2 * extent), rng)

    return {name: drawn(kind) for name, kind in graph.sizes}


def _ladder(graph: Graph, shipped: Sizes, rng: random.Random) -> Iterator[Instance]:
    """Every size long, the others tiny."""
    names = [name for name, _ in graph.sizes]
    for position, name in enumerate(names):
        for extent in sizes.rungs(shipped[name], rng):
            found = sizes.tiny(len(names), rng, least=2)
            found[position] = extent
            rung = dict(zip(names, found, strict=True))
            fitting = _fitting(graph, rung)
            if max(prod(_numbers(value, fitting)) for value in graph.values.values()) <= _LADDER_ELEMENTS:
                yield instance(graph, rung)


def _flops(graph: Graph, node: Node, extents_of: Sizes) -> int:
    """Estimate for one node at the given sizes."""
    counted = node.operator.flops
    if isinstance(counted, int):
        values = (
            node.results if node.operator.elementwise else [graph.values[name] for name in node.operands[:1]]
        )
        return counted * sum(prod(_numbers(value, extents_of)) for value in values)
    return _counted(graph, node, counted, extents_of)


def _counted(graph: Graph, node: Node, text: str, extents_of: Sizes) -> int:
    """An operator's own count at the given sizes."""
    names = {name: extents.value(extent, extents_of) for name, extent in node.dims}
    names |= {name: int(value) for name, value in node.attributes}
    tensors = zip(node.operator.operands, (graph.values[name] for name in node.operands), strict=True)
    shapes = {operand: _numbers(value, extents_of) for operand, value in tensors}
    results = zip(node.operator.shapes.results, node.results, strict=True)
    shapes |= {pattern.name: _numbers(value, extents_of) for pattern, value in results}
    return node.operator.count(text, names, shapes)


def _bytes_read(graph: Graph, value: Input, extents_of: Sizes) -> int:
    """Bytes of an input that have to be read: all, unless its one reader says that it needs fewer."""
    elements = prod(_numbers(value, extents_of))
    readers = list(graph.readers(value.name))
    if len(readers) == 1 and readers[0].operands.count(value.name) == 1:
        operand = readers[0].operator.operands[readers[0].operands.index(value.name)]
        if operand in readers[0].operator.reads:
            text = readers[0].operator.reads[operand]
            elements = min(elements, _counted(graph, readers[0], text, extents_of))
    return elements * DTYPE_BYTES[value.dtype]
