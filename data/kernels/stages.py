"""Cuts a graph into stages, one for each node that is not elementwise; all others are fused into them.

Elementwise nodes before a core are computed where its kernel loads, and those after it where it stores. What
one stage hands to the next lies in a buffer: an output of the program, or scratch memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data.graph import Graph, Node, Value
from data.rendering import output_names


@dataclass(frozen=True)
class Buffer:
    """Memory that holds a value."""

    name: str
    value: Value
    dtype: str
    is_scratch: bool = False


@dataclass(frozen=True)
class Stage:
    """What is computed together."""

    graph: Graph
    core: Node | None
    """None for a stage that is elementwise from its inputs on."""
    finals: tuple[str, ...]
    """The value that is stored for each result of the core, or the stage's only value."""
    stored: tuple[Buffer, ...]
    """Where they are stored."""
    known: dict[str, Buffer]
    """Where values are that were computed before, by their names."""

    def fused(self, value: str, given: frozenset[str] = frozenset()) -> list[Node]:
        """The elementwise nodes that give a value, from known and `given` ones, in order."""
        wanted: set[str] = set()
        pending = [value]
        while pending:
            name = pending.pop()
            if name not in wanted and name not in self.known and name not in given:
                wanted.add(name)
                pending += self.graph.sources[name].operands
        return [node for node in self.graph.nodes if node.results[0].name in wanted]

    def needed(self, value: str, given: frozenset[str] = frozenset()) -> list[Buffer]:
        """The buffers that a value is computed from, inputs first, in order."""
        nodes = self.fused(value, given)
        names = {value, *(name for node in nodes for name in node.operands)}
        return [self.known[name] for name in self.graph.values if name in names & self.known.keys() - given]


def stages(graph: Graph) -> list[Stage]:
    """The stages of a graph, in order."""
    return list(_Cutter(graph).stages())


class _Cutter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs = output_names(graph)
        self.known = {value.name: Buffer(value.name, value, value.dtype) for value in graph.inputs}
        self.scratch = 0

    def stages(self) -> Iterator[Stage]:
        for core in self.graph.cores:
            yield self._stage(core, tuple(self._final(result.name) for result in core.results))
        for name in self.graph.outputs:
            if name not in self.known:
                yield self._stage(None, (name,))

    def _stage(self, core: Node | None, finals: tuple[str, ...]) -> Stage:
        known = dict(self.known)
        stored = tuple(self._buffer(name) for name in finals)
        self.known |= zip(finals, stored, strict=True)
        return Stage(self.graph, core, finals, stored, known)

    def _buffer(self, name: str) -> Buffer:
        value = self.graph.values[name]
        if name in self.outputs:
            return Buffer(self.outputs[name], value, value.dtype)
        self.scratch += 1
        dtype = "float32" if value.dtype == self.graph.dtype else value.dtype
        return Buffer(f"mid{self.scratch}", value, dtype, is_scratch=True)

    def _final(self, name: str) -> str:
        """The last of the elementwise values that can be computed where a core's result is stored."""
        while name not in self.outputs:
            readers = list(self.graph.readers(name))
            if len(readers) != 1 or not self._absorbs(readers[0], name):
                break
            name = readers[0].results[0].name
        return name

    def _absorbs(self, reader: Node, name: str) -> bool:
        result = reader.results[0]
        return (
            reader.operator.elementwise
            and result.shape == self.graph.values[name].shape
            and result.dtype == self.graph.dtype
            and all(other == name or self._computable(other) for other in reader.operands)
        )

    def _computable(self, name: str) -> bool:
        if name in self.known:
            return True
        source = self.graph.sources[name]
        return source.operator.elementwise and all(map(self._computable, source.operands))
