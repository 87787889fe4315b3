"""A program as a graph of operators: any number of inputs and outputs, and values that are used twice.

Inputs and results have names, and a node names what it takes; nodes stand in an order in which they can be
computed. Shapes are expressions of the graph's sizes. `data.building` makes graphs, `data.rendering` turns
them into programs and problems, and `data.kernels` into CUDA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from data.operators import extents
from data.operators.dims import Kind
from data.operators.domains import ANY, Domain
from data.operators.extents import Shape
from data.operators.operator import Attribute, Operator, literals
from evaluation.expressions import Expression


@dataclass(frozen=True)
class Value:
    """An input of the program or the result of a node."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Input(Value):
    """An input of the program."""

    domain: Domain = ANY
    dims: tuple[tuple[str, Expression], ...] = ()
    """What the domain's dimensions stand for."""


@dataclass(frozen=True)
class Node:
    """One use of an operator."""

    operator: Operator
    operands: tuple[str, ...]
    """Names of inputs and earlier results, in the order of the operator's operands."""
    results: tuple[Value, ...]
    dims: tuple[tuple[str, Expression], ...] = ()
    """What the dimensions of the operator's signature, and its named extents, stand for."""
    attributes: tuple[tuple[str, Attribute], ...] = ()

    def torch(self, operands: Mapping[str, str] | None = None) -> str:
        """The PyTorch expression; `operands` are other names for some of them."""
        names = {name: (operands or {}).get(name, name) for name in self.operands}
        fields = {name: extents.python_text(extent) for name, extent in self.dims}
        fields |= {name: str(value) for name, value in self.attributes}
        fields |= dict(zip(self.operator.operands, (names[name] for name in self.operands), strict=True))
        return self.operator.torch.format(**fields)

    def room(self) -> Iterator[Expression]:
        """What has to be 1 or more besides the extents of all tensors."""
        names = literals(dict(self.attributes)) | dict(self.dims)
        return (extents.normal(extents.read(text), names) for text in self.operator.room)

    def cuda(self, operands: Mapping[str, str]) -> str:
        """The C expression of an elementwise operator, on local variables by the names of their values."""
        fields = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in self.attributes
        }
        fields |= dict(zip(self.operator.operands, (operands[name] for name in self.operands), strict=True))
        return self.operator.cuda.format(**fields)


@dataclass(frozen=True)
class Graph:
    """Operators in order of application, on named inputs."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    """Names of the values that the program returns."""
    sizes: tuple[tuple[str, Kind], ...]
    """Named sizes, as the program declares them."""
    layout: str = ""
    """A word for how the inputs lie; it joins what the sizes follow from."""
    dtype: str = "float32"
    """Of floating-point values."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Operator names in order of application."""
        return tuple(node.operator.name for node in self.nodes)

    @property
    def combination(self) -> tuple[str, ...]:
        """What splits go by: the sorted operator names."""
        return tuple(sorted(self.operators))

    @cached_property
    def values(self) -> dict[str, Value]:
        """Inputs and results by name, in order."""
        results = (result for node in self.nodes for result in node.results)
        return {value.name: value for value in (*self.inputs, *results)}

    @cached_property
    def sources(self) -> dict[str, Node]:
        """The node that gives a result, by the result's name."""
        return {result.name: node for node in self.nodes for result in node.results}

    @property
    def cores(self) -> tuple[Node, ...]:
        """The nodes that are not elementwise."""
        return tuple(node for node in self.nodes if not node.operator.elementwise)

    def readers(self, name: str) -> Iterator[Node]:
        """The nodes that take a value."""
        return (node for node in self.nodes if name in node.operands)

    def without(self, node: Node) -> Graph | None:
        """The same graph with a node left out: its readers take what it took. None if shapes change by that.

        A node of several operands is replaced by the one that an earlier node gave, or the first.
        """
        taken = next((name for name in node.operands if name in self.sources), node.operands[0])
        if len(node.results) > 1 or self.values[taken].shape != node.results[0].shape:
            return None

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(taken if name == node.results[0].name else name for name in names)

        nodes = tuple(
            replace(other, operands=renamed(other.operands)) for other in self.nodes if other is not node
        )
        return replace(self, nodes=nodes, outputs=renamed(self.outputs))
