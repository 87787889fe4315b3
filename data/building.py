"""Builds graphs node by node and infers shapes: dimensions of signatures are unified with those of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, count
from types import MappingProxyType

from data.graph import Graph, Input, Node, Value
from data.operators import extents
from data.operators.dims import VECTOR, Kind
from data.operators.domains import ANY, Domain
from data.operators.extents import Shape, normal
from data.operators.operator import Attribute, Operator, free, literals
from data.operators.signature import TensorPattern
from evaluation.expressions import Expression, Number, Size

_DEFAULTS: Mapping[str, Attribute] = MappingProxyType({})


class ShapeError(ValueError):
    """An operator does not take values of these shapes."""


class Builder:
    """A graph in the making. Values are known by their names, which `input` and `add` return."""

    def __init__(self, dtype: str = "float32", layout: str = "") -> None:
        self._dtype, self._layout = dtype, layout
        self._sizes: dict[str, Kind] = {}
        self._inputs: list[Input] = []
        self._nodes: list[Node] = []

    def size(self, name: str, kind: Kind) -> Size:
        """A new size of the graph, with a number behind its name if that is taken."""
        name = self._fresh(name)
        self._sizes[name] = kind
        return Size(name)

    def input(self, name: str, shape: Shape, domain: Domain = ANY, dtype: str | None = None) -> str:
        """A new input."""
        name = self._fresh(name)
        self._inputs.append(Input(name, shape, dtype or self._dtype, domain))
        return name

    def shape(self, name: str) -> Shape:
        """Of a value, by sizes of the graph."""
        return self._values[name].shape

    def add(
        self,
        operator: Operator,
        operands: Sequence[str | None] = (),
        attributes: Mapping[str, Attribute] = _DEFAULTS,
    ) -> tuple[str, ...]:
        """A node; returns the names of its results. Operands that are None or left out become inputs.

        Raises ShapeError if the shapes do not fit: then the graph is as it was, but for sizes that had to
        be equal. Values for operands with a domain of their own are refused in the same way.
        """
        given = operator.given(attributes)
        operands = [*operands, *[None] * (len(operator.operands) - len(operands))]
        patterns = list(zip(operator.shapes.operands, operands, strict=True))
        binding = _Binding(self, operator, given)
        for pattern, name in patterns:
            if name is not None:
                self._check(operator, pattern, name)
                binding.match(pattern, name)
        if None in operands:
            binding.complete()
        names = [name or self._operand(operator, pattern, binding) for pattern, name in patterns]
        binding.complete()
        results: list[Value] = []
        for pattern in operator.shapes.results:
            shape = binding.shape(pattern)
            results.append(Value(self._result(len(results)), shape, pattern.dtype or self._dtype))
        dims = tuple((name, normal(extent)) for name, extent in binding.names().items())
        self._nodes.append(Node(operator, tuple(names), tuple(results), dims, tuple(given.items())))
        return tuple(result.name for result in results)

    def graph(self, *outputs: str) -> Graph:
        """The graph that returns these values, without what they do not need."""
        needed = set(outputs)
        nodes = []
        for node in reversed(self._nodes):
            if not needed.isdisjoint(result.name for result in node.results):
                needed.update(node.operands)
                nodes.append(node)
        inputs = tuple(value for value in self._inputs if value.name in needed)
        used = {name for value in inputs for extent in value.shape for name in extents.names_in(extent)}
        sizes = tuple(item for item in self._sizes.items() if item[0] in used)
        return Graph(inputs, tuple(reversed(nodes)), outputs, sizes, self._layout, self._dtype)

    @property
    def read(self) -> frozenset[str]:
        """The values that some operator takes."""
        return frozenset(name for node in self._nodes for name in node.operands)

    @property
    def _values(self) -> dict[str, Value]:
        results = (result for node in self._nodes for result in node.results)
        return {value.name: value for value in (*self._inputs, *results)}

    def _check(self, operator: Operator, pattern: TensorPattern, name: str) -> None:
        value = self._values[name]
        wanted = pattern.dtype or self._dtype
        if value.dtype != wanted:
            raise ShapeError(f"{operator.name} takes {wanted} for {pattern.name}, not {value.dtype}")
        domain = operator.domain(pattern.name)
        if domain is not ANY and getattr(value, "domain", ANY) != domain:
            raise ShapeError(f"{operator.name} takes an input of its own for {pattern.name}")

    def _operand(self, operator: Operator, pattern: TensorPattern, binding: _Binding) -> str:
        """A new input for an operand."""
        name = self._fresh(pattern.name)
        dims = tuple(binding.dims.items())
        dtype = pattern.dtype or self._dtype
        self._inputs.append(Input(name, binding.shape(pattern), dtype, operator.domain(pattern.name), dims))
        return name

    def _fresh(self, name: str) -> str:
        taken = {*self._values, *self._sizes}
        return next(found for found in chain([name], (f"{name}{n}" for n in count(2))) if found not in taken)

    def _result(self, before: int) -> str:
        """a, b, c, then v4, v5, ... for the results; a name that is taken already is left out."""
        place = sum(len(node.results) for node in self._nodes) + before
        name = "abc"[place] if place < 3 else f"v{place + 1}"
        return name if name not in {*self._values, *self._sizes} else self._fresh(f"v{place + 1}")

    def equate(self, left: Expression, right: Expression) -> dict[str, Expression]:
        """Make two extents equal by replacing a size, of two the later one; returns by what, or nothing."""
        order = list(self._sizes)
        pairs = [(one, other) for one, other in ((left, right), (right, left)) if isinstance(one, Size)]
        for one, other in sorted(pairs, key=lambda pair: -order.index(pair[0].name)):
            if one.name not in extents.names_in(other):
                self._replace(one.name, other)
                return {one.name: other}
        return {}

    def _replace(self, name: str, extent: Expression) -> None:
        """Put an extent in the place of a size, everywhere."""
        del self._sizes[name]
        names = {name: extent}

        def shape(old: Shape) -> Shape:
            return tuple(normal(one, names) for one in old)

        def dims(old: tuple[tuple[str, Expression], ...]) -> tuple[tuple[str, Expression], ...]:
            return tuple((dim, normal(one, names)) for dim, one in old)

        self._inputs = [
            Input(one.name, shape(one.shape), one.dtype, one.domain, dims(one.dims)) for one in self._inputs
        ]
        self._nodes = [
            Node(
                one.operator, one.operands,
                tuple(Value(result.name, shape(result.shape), result.dtype) for result in one.results),
                dims(one.dims), one.attributes,
            )
            for one in self._nodes
        ]  # fmt: skip


class _Binding:
    """What the dimensions of one node's signature stand for, as far as that is known."""

    def __init__(self, builder: Builder, operator: Operator, given: Mapping[str, Attribute]) -> None:
        self.builder, self.operator = builder, operator
        self.attributes = literals(given)
        self.dims: dict[str, Expression] = {}
        self.leading: Shape | None = None

    def match(self, pattern: TensorPattern, name: str) -> None:
        """Bind dimensions so that a value fits its pattern."""
        rest = len(self.builder.shape(name)) - len(pattern.shape)
        if rest < 0 or (rest and not pattern.leading):
            raise ShapeError(f"{self.operator.name} takes {len(pattern.shape)} dimensions for {pattern.name}")
        if pattern.leading:
            self._lead(name, rest)
        for position, extent in enumerate(pattern.shape, rest):
            self._unify(extent, name, position)

    def complete(self) -> None:
        """Give every dimension that is not bound a new size."""
        for name, kind in self.operator.dimensions.items():
            if name not in self.dims:
                self.dims[name] = self.builder.size(name, kind)

    def shape(self, pattern: TensorPattern) -> Shape:
        """The shape of an operand or result, all dimensions being bound."""
        names = {**self.attributes, **self.dims}
        own = tuple(normal(extent, names) for extent in pattern.shape)
        if pattern.leading and self.leading is None:
            self.leading = (self.builder.size("n", VECTOR),)
        return (*(self.leading or ()), *own) if pattern.leading else own

    def names(self) -> dict[str, Expression]:
        """Dimensions, then the named extents of the results."""
        names = {**self.attributes, **self.dims}
        named = {
            alias: normal(extent, names)
            for result in self.operator.shapes.results
            for alias, extent in result.named
        }
        return {name: self.dims[name] for name in self.operator.dimensions} | named

    def _lead(self, name: str, rest: int) -> None:
        """Broadcast the first extents of a value with those of the operands before."""
        for place in range(1, min(rest, len(self.leading or ())) + 1):
            pair = self.builder.shape(name)[rest - place], self.leading[-place]  # type: ignore[index]  # none has no range
            if pair[0] != pair[1] and Number(1) not in pair and not self._equate(*pair):
                left, right = map(extents.c_text, pair)
                raise ShapeError(f"{self.operator.name} takes no extents {left} and {right} together")
        self.leading = broadcast(self.leading or (), self.builder.shape(name)[:rest])

    def _unify(self, pattern: Expression, value: str, position: int) -> None:
        """Bind a dimension, or equate sizes, so that an extent of a value is as the pattern says."""
        loose = {name: free(name) for name in self.operator.dimensions if name not in self.dims}
        wanted = normal(pattern, {**self.attributes, **self.dims, **loose})
        actual = self.builder.shape(value)[position]
        found = extents.single(wanted)
        if wanted == actual:
            return
        if found is not None and found[1].startswith("."):
            factor, name = found[0], found[1][1:]
            whole = extents.quotient(actual, factor)
            if whole is None and isinstance(actual, Size):
                whole = self.builder.size(name, self.operator.dimensions[name])
                self._equate(actual, normal(extents.product((Number(factor), whole))))
            if whole is not None:
                self.dims[name] = whole
                return
        elif not any(name.startswith(".") for name in extents.names_in(wanted)) and self._equate(
            wanted, actual
        ):
            return
        raise ShapeError(
            f"{self.operator.name} takes {extents.c_text(pattern)} where {value} has {extents.c_text(actual)}"
        )

    def _equate(self, left: Expression, right: Expression) -> bool:
        """Make two extents equal, here and in the graph, if one of them is a size."""
        replaced = self.builder.equate(left, right)
        self.dims = {dim: normal(one, replaced) for dim, one in self.dims.items()}
        if self.leading is not None:
            self.leading = tuple(normal(one, replaced) for one in self.leading)
        return bool(replaced)


def broadcast(left: Shape, right: Shape) -> Shape:
    """The shape of two tensors together; where both have an extent it is the same, or 1 in one of them."""
    longer, shorter = sorted((left, right), key=len, reverse=True)
    head = len(longer) - len(shorter)
    pairs = zip(longer[head:], shorter, strict=True)
    return (*longer[:head], *(other if one == Number(1) else one for one, other in pairs))
