"""Graphs of several inputs, outputs and uses: shapes, programs and problems."""

import pytest
import torch

from data.building import Builder, ShapeError
from data.operators.dims import CHANNELS, COLUMNS, HEIGHT, ROWS, WIDTH
from data.operators.domains import POSITIVE, below
from data.operators.extents import c_text
from data.operators.operator import Operator
from data.operators.registry import OPERATORS
from data.rendering import check_instance, problem
from data.screen import Defect, defect, run
from data.settings import KernelStyle
from evaluation.expressions import Number
from evaluation.problem import Split

GROUPED = Operator(
    "glu", "F.glu({x}, 1)", "x[m, 2 * n] -> out[m, n]", writers={KernelStyle.PER_OUTPUT: lambda k: None}
)  # fmt: skip


def _shape(graph, name):
    return [c_text(extent) for extent in graph.values[name].shape]


@pytest.fixture
def residual():
    builder = Builder()
    (first,) = builder.add(OPERATORS["conv2d"], (), {"padding": 1})
    (active,) = builder.add(OPERATORS["relu"], [first])
    (second,) = builder.add(OPERATORS["conv2d"], [active], {"padding": 1})
    (total,) = builder.add(OPERATORS["add"], [second, active])
    return builder.graph(total, active)


def test_a_residual_makes_channels_equal(residual):
    out, active = residual.outputs
    assert _shape(residual, out) == _shape(residual, active) == ["b", "o", "h", "w"]
    assert [name for name, _ in residual.sizes] == ["b", "o", "h", "w", "c"]
    assert [value.name for value in residual.inputs] == ["x", "weight", "bias", "weight2", "bias2"]
    assert _shape(residual, "weight2") == ["o", "o", "3", "3"]


def test_several_outputs_are_returned_together(residual):
    instance = check_instance(residual)
    outputs = run(instance.program)
    assert [tensor.name for tensor in instance.outputs] == ["out0", "out1"]
    assert [tuple(output.shape) for output in outputs] == [tensor.shape for tensor in instance.outputs]
    torch.testing.assert_close(outputs[1], outputs[1].relu())


@pytest.mark.parametrize("attributes", [{"size": 5, "dilation": 2}, {"stride": 2, "groups": 2}, {"size": 1}])
def test_a_window_fits_at_all_sizes(attributes):
    builder = Builder("float16")
    (out,) = builder.add(OPERATORS["conv2d"], (), attributes)
    found = problem(builder.graph(out), Split.TRAIN, 1e-4, "seed")
    assert found.tolerance == 2e-3
    for instance in (*found.checks, *found.aligned, *found.ladder[:3]):
        assert tuple(run(instance.program)[0].shape) == instance.outputs[0].shape
        assert {tensor.dtype for tensor in (*instance.inputs, *instance.outputs)} == {"float16"}
    shape, weight = found.shipped.outputs[0].shape, found.shipped.inputs[1].shape
    assert found.flops == 2 * torch.Size(shape).numel() * torch.Size(weight[1:]).numel()


def test_a_multiple_is_found_in_a_size_or_makes_one():
    builder = Builder()
    x = builder.input("x", (builder.size("m", ROWS), builder.size("n", COLUMNS)))
    (half,) = builder.add(GROUPED, [x])
    (quarter,) = builder.add(GROUPED, [half])
    graph = builder.graph(quarter)
    assert _shape(graph, "x") == ["m", "4 * n"] and _shape(graph, quarter) == ["m", "n"]


def test_what_does_not_fit_is_refused():
    builder = Builder()
    row = builder.input("x", (builder.size("n", COLUMNS),))
    with pytest.raises(ShapeError, match="takes 2 dimensions for x"):
        builder.add(OPERATORS["softmax"], [row])
    with pytest.raises(ShapeError, match="takes int64 for target"):
        builder.add(OPERATORS["cross_entropy"], [None, row])
    with pytest.raises(ValueError, match="conv2d has no attribute strides"):
        builder.add(OPERATORS["conv2d"], (), {"strides": 2})


def test_values_are_broadcast():
    builder = Builder()
    c, h, w = builder.size("c", CHANNELS), builder.size("h", HEIGHT), builder.size("w", WIDTH)
    x = builder.input("x", (c, h, w))
    (out,) = builder.add(OPERATORS["mul"], [builder.input("y", (h, w)), x])
    (out,) = builder.add(OPERATORS["add"], [out, builder.input("z", (Number(1), w))])
    graph = builder.graph(out)
    assert _shape(graph, out) == ["c", "h", "w"]
    assert run(check_instance(graph).program)[0].shape == check_instance(graph).outputs[0].shape


def test_indices_are_drawn_below_their_dimension():
    builder = Builder()
    instance = check_instance(builder.graph(*builder.add(OPERATORS["cross_entropy"])))
    assert instance.inputs[1].dtype == "int64"
    assert "torch.randint(0, n, [m])" in instance.program
    assert POSITIVE.draw("m", "float16", {}) == "(torch.rand(m) + 0.5).half()"
    assert below("n").draw("m", "int64", {"n": "2 * k"}) == "torch.randint(0, 2 * k, [m])"


def test_an_idle_node_of_a_graph_is_found():
    builder = Builder()
    (first,) = builder.add(OPERATORS["conv2d"], (), {"padding": 1})
    (one,) = builder.add(OPERATORS["exp"], [first])
    (two,) = builder.add(OPERATORS["abs"], [one])
    (out,) = builder.add(OPERATORS["sigmoid"], [two])
    assert defect(builder.graph(out)) in (Defect.IDLE_OPERATOR, Defect.HUGE)
    assert defect(builder.graph(first)) is None
