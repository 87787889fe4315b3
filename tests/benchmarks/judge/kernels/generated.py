"""The generator's own operators and the kernels that `data.solutions` writes for them."""

from __future__ import annotations

from collections.abc import Iterator

from data.chain import Layout, role
from data.generator import single_operator_graphs
from data.graph import Graph
from data.kernels.writing import styles, write
from data.operators.registry import OPERATORS
from data.rendering import problem
from data.settings import KernelStyle
from evaluation.problem import Split
from tests.benchmarks.judge.kernels.text import Kernel, Style
from tests.benchmarks.judge.programs import Program, Sizes

_STYLES = {
    KernelStyle.PER_OUTPUT: Style.NAIVE,
    KernelStyle.GRID_STRIDE: Style.GRID_STRIDE,
    KernelStyle.VECTORIZED: Style.VECTOR,
    KernelStyle.SHARED: Style.TILED,
    KernelStyle.SHUFFLE: Style.SHUFFLES,
}
_MATRICES: tuple[Sizes, ...] = (
    {"m": 37, "n": 45},
    {"m": 5, "n": 1301},
    {"m": 130, "n": 68},
    {"m": 3, "n": 4100},
)
_WITNESS: dict[Layout, tuple[Sizes, ...]] = {
    Layout.VECTOR: ({"n": 1000}, {"n": 4133}, {"n": 129}, {"n": 70001}),
    Layout.MATRIX: _MATRICES,
    Layout.BROADCAST: _MATRICES,
    Layout.MATMUL: ({"m": 37, "n": 45, "k": 29}, {"m": 5, "n": 130, "k": 67}, {"m": 70, "n": 33, "k": 300}),
}
_PUBLISHED: dict[Layout, Sizes] = {
    Layout.VECTOR: {"n": 65536},
    Layout.MATRIX: {"m": 128, "n": 512},
    Layout.BROADCAST: {"m": 128, "n": 512},
    Layout.MATMUL: {"m": 64, "n": 96, "k": 128},
}


def programs() -> Iterator[Program]:
    """A program for every operator, in the first layout that it has."""
    for name, graph in _graphs():
        shipped = problem(graph, Split.TRAIN, 1e-4).shipped
        body = shipped.program[shipped.program.index("def get_inputs") :]
        yield Program(
            name, body, shipped.sizes, _PUBLISHED[Layout(graph.layout)], _WITNESS[Layout(graph.layout)]
        )


def kernels() -> Iterator[Kernel]:
    """Every guarded kernel for them."""
    for name, graph in _graphs():
        for style in styles(graph):
            if style in _STYLES:
                yield Kernel(name, _STYLES[style], write(graph, style))


def _graphs() -> Iterator[tuple[str, Graph]]:
    for name, operator in OPERATORS.items():
        if role(operator) is not None:
            yield f"generated_{name}", single_operator_graphs(operator)[0]
