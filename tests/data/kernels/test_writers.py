"""Kernels that operators state: every style, value of an attribute and dtype, by the judge."""

import pytest

from data.building import Builder
from data.chain import role
from data.generator import single_operator_graphs
from data.kernels.writing import styles, write
from data.operators.dims import CHANNELS, HEIGHT, WIDTH
from data.operators.registry import OPERATORS
from data.rendering import problem
from data.settings import KernelStyle
from data.solutions import Solution, respond, verify
from evaluation.expressions import Number
from evaluation.pool import EvaluationPool
from evaluation.problem import Split
from evaluation.settings import EvaluationSettings

#: Operators of a chain are judged in tests/data/test_solutions.py.
OWN = [name for name, operator in OPERATORS.items() if role(operator) is None]


@pytest.fixture(scope="module")
def pool(confined):
    with EvaluationPool(EvaluationSettings(workers=2), confined) as pool:
        yield pool


def judged(pool, graphs, chosen=styles):
    solutions = [
        Solution(problem(graph, Split.TRAIN, 2e-4, "seed"), style, respond(write(graph, style)))
        for graph in graphs
        for style in chosen(graph)
    ]
    _, failures = verify(solutions, pool, seed=3)
    return [(item.solution.problem.operators, item.solution.style, item.verdict.reason) for item in failures]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_every_style_of_an_operator_is_correct(pool, name):
    """One that states no writers is the same expression in all styles, and the styles are in chains.

    Beside the default, one other value of an attribute and one other dtype, which differ by operator;
    `python -m tests.benchmarks.bench_operators` judges all of them.
    """
    operator = OPERATORS[name]
    first, *others = single_operator_graphs(operator)
    half = [dtype for dtype in operator.dtypes if dtype != "float32"]
    place = sum(map(ord, name))
    graphs = [first, *others[place % len(others or [0]) :][:1]]
    graphs += [single_operator_graphs(operator, dtype)[0] for dtype in half[place % len(half or [0]) :][:1]]
    chosen = styles if operator.writers else lambda _: [KernelStyle.PER_OUTPUT]
    assert judged(pool, graphs, chosen) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exp", "add", "softmax", "matmul", "cumsum"])
def test_chains_are_correct_in_half_precision(pool, name):
    graphs = [single_operator_graphs(OPERATORS[name], dtype)[0] for dtype in ("float16", "bfloat16")]
    assert judged(pool, graphs) == []


def _residual(dtype):
    builder = Builder(dtype)
    (first,) = builder.add(OPERATORS["conv2d"], (), {"padding": 1})
    (active,) = builder.add(OPERATORS["relu"], [first])
    (second,) = builder.add(OPERATORS["conv2d"], [active], {"padding": 1})
    (total,) = builder.add(OPERATORS["add"], [second, active])
    return builder.graph(*builder.add(OPERATORS["tanh"], [total]), active)


def _scaled_channels():
    """An epilogue and a prologue that read tensors of other shapes than the one they are fused into."""
    builder = Builder()
    (out,) = builder.add(OPERATORS["conv2d"])
    image = builder.shape(out)
    scale = builder.input("scale", (image[1], Number(1), Number(1)))
    (scaled,) = builder.add(OPERATORS["mul"], [out, scale])
    (shifted,) = builder.add(OPERATORS["add"], [scaled, builder.input("shift", image[3:])])
    return builder.graph(*builder.add(OPERATORS["conv2d"], [shifted], {"stride": 2}))


def _elementwise():
    builder = Builder()
    c, h, w = builder.size("c", CHANNELS), builder.size("h", HEIGHT), builder.size("w", WIDTH)
    x, y = builder.input("x", (c, h, w)), builder.input("y", (c, Number(1), w))
    (total,) = builder.add(OPERATORS["add"], [x, y])
    (active,) = builder.add(OPERATORS["sigmoid"], [total])
    return builder.graph(*builder.add(OPERATORS["mul"], [active, total]), active)


def _mlp():
    builder = Builder()
    (hidden,) = builder.add(OPERATORS["matmul"])
    (active,) = builder.add(OPERATORS["gelu"], [hidden])
    (out,) = builder.add(OPERATORS["matmul"], [active])
    (rows,) = builder.add(OPERATORS["softmax"], [out])
    return builder.graph(*builder.add(OPERATORS["amax"], [rows]))


STAGED = {
    "residual": lambda: _residual("float32"),
    "half residual": lambda: _residual("float16"),
    "scaled channels": _scaled_channels,
    "two elementwise outputs": _elementwise,
    "mlp": _mlp,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGED)
def test_staged_graphs_are_correct(pool, name):
    assert judged(pool, [STAGED[name]()]) == []


def test_elementwise_neighbours_are_fused():
    source = write(_residual("float32"), KernelStyle.PER_OUTPUT)
    assert source.count("// launch") == 2 and "scratch" not in source
    assert "f2<<<ceil_div(b*o*h*w,256),256>>>(weight2, bias2, out1, out0, b, o, h, w, o, h, w)" in source
    mlp = write(_mlp(), KernelStyle.SHARED)
    assert mlp.count("// launch") == 4 and mlp.count("// scratch") == 3
