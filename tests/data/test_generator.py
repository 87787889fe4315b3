"""The generator: deterministic, split by combination, and nothing degenerate."""

import hashlib
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.chain import Layout, Step, chain, fits
from data.generator import combinations, draw_chain, generate, single_operator_graphs
from data.kernels import folds
from data.kernels.writing import styles, write
from data.operators.operator import Operator
from data.operators.registry import OPERATORS
from data.rendering import check_instance
from data.rendering import problem as problem_of
from data.screen import Defect, defect, run
from data.settings import Counts, KernelStyle
from evaluation.errors import WarpsmithError
from evaluation.problem import Split
from tests.data.toy import toy

SMALL = toy(
    train=Counts(level2=20, level3=12),
    validation=Counts(level2=2, level3=3),
    heldout=Counts(level2=6, level3=8),
)

COMBINATIONS = {
    (level, structured): combinations(OPERATORS, level, structured=structured)
    for level in (2, 3)
    for structured in (False, True)
}


def _bytes(draw, *splits):
    return [item.problem.model_dump_json() for item in draw.problems if item.problem.split in splits]


def _graph(*steps, layout=Layout.VECTOR):
    return chain([Step(OPERATORS[name], *operand) for name, *operand in steps], layout)


@pytest.fixture(scope="module")
def drawn():
    return generate(SMALL, "2026-12-01")


def test_same_seed_gives_the_same_bytes(drawn):
    again = generate(SMALL, "2026-12-01")
    assert _bytes(again, *Split) == _bytes(drawn, *Split)
    assert again.rejected == drawn.rejected


def test_a_new_night_changes_the_training_problems_only(drawn):
    other = generate(SMALL, "2026-12-02")
    assert _bytes(other, Split.TRAIN) != _bytes(drawn, Split.TRAIN)
    fixed = (Split.VALIDATION, Split.HELDOUT)
    assert _bytes(other, *fixed) == _bytes(drawn, *fixed)


def test_counts_are_as_asked(drawn):
    for split in Split:
        counts = getattr(SMALL, split)
        levels = [item.problem.level for item in drawn.problems if item.problem.split is split]
        assert (levels.count(2), levels.count(3)) == (counts.level2, counts.level3)
    trained = {item.graph.operators for item in drawn.problems if item.problem.level == 1}
    assert trained == {(name,) for name in SMALL.operators}


def test_no_combination_is_in_two_splits(drawn):
    splits = {}
    for item in drawn.problems:
        splits.setdefault(item.graph.combination, set()).add(item.problem.split)
    assert all(len(found) == 1 for found in splits.values())


def test_ids_and_programs_are_unique(drawn):
    assert len({item.problem.id for item in drawn.problems}) == len(drawn.problems)
    assert len({item.problem.shipped.program for item in drawn.problems}) == len(drawn.problems)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_drawn_graph_runs_and_has_the_declared_shapes(seed):
    rng = random.Random(seed)
    names = rng.choice(COMBINATIONS[rng.choice((2, 3)), rng.random() < 0.3])
    graph = draw_chain(OPERATORS, names, toy(broadcast_share=0.5), rng)
    problem = problem_of(graph, Split.TRAIN, 1e-3)
    for instance in (*problem.checks, *problem.aligned):
        assert tuple(run(instance.program)[0].shape) == instance.outputs[0].shape
    assert sorted(problem.operators) == sorted(names)


@pytest.mark.parametrize("layout", list(Layout))
def test_sizes_follow_from_the_seed_and_reach_beyond_the_usual_constants(layout):
    name = "matmul" if layout is Layout.MATMUL else "relu"
    graph = _graph((name,), layout=layout)
    first, again, other = (problem_of(graph, Split.TRAIN, 1e-3, seed) for seed in ("1", "1", "2"))
    assert first == again
    assert first.shipped == other.shipped and first.id == other.id and first.aligned == other.aligned
    assert first.checks != other.checks and first.ladder != other.ladder
    assert all(extent % 8 for item in first.checks for extent in item.sizes.values())
    for size, extent in first.shipped.sizes.items():
        longest = max(item.sizes[size] for item in first.ladder)
        assert all(tuple(run(item.program)[0].shape) == item.outputs[0].shape for item in first.ladder[::3])
        assert longest > min(extent, 16_500) // 2


def test_single_operator_graphs_cover_broadcasting():
    layouts = {graph.layout for graph in single_operator_graphs(OPERATORS["add"])}
    assert layouts == {Layout.VECTOR, Layout.MATRIX, Layout.BROADCAST}
    graph = _graph(("add", "y"), layout=Layout.BROADCAST)
    x = torch.zeros(37, 45)
    assert run(check_instance(graph).program)[0].shape == x.shape


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        (_graph(("sub", "x")), Defect.CONSTANT),
        (_graph(("maximum", "x")), Defect.COPY),
        (_graph(("neg",), ("neg",)), Defect.COPY),
        (_graph(("exp",), ("exp",), ("exp",), ("exp",)), Defect.NOT_FINITE),
        (_graph(("square",), ("square",), ("square",), ("square",)), Defect.HUGE),
        (_graph(("exp",), ("abs",)), Defect.IDLE_OPERATOR),
        (_graph(("relu",), ("leaky_relu",)), Defect.IDLE_OPERATOR),
        (_graph(("relu",), ("tanh",)), None),
    ],
)
def test_degenerate_graphs_are_found_by_running_them(graph, found):
    assert defect(graph) is found


def test_drawn_problems_are_never_degenerate(drawn):
    assert all(defect(item.graph) is None for item in drawn.problems[::5])
    assert sum(drawn.rejected.values()) > 0


def test_a_graph_has_at_most_one_core_with_pointwise_company():
    def goes(*names):
        return fits([OPERATORS[name] for name in names])

    assert goes("relu", "softmax") and goes("add", "relu", "sum")
    assert not goes("sum", "mean") and not goes("add", "softmax") and not goes("cumsum", "sum")
    assert not goes("relu", "conv2d")


def test_flops_and_bytes_of_a_matrix_product():
    problem = problem_of(_graph(("matmul",), layout=Layout.MATMUL), Split.TRAIN, 1e-3)
    m, n, k = (problem.shipped.sizes[name] for name in "mnk")
    assert problem.flops == 2 * m * n * k
    assert problem.bytes == 4 * (m * k + k * n + m * n)


def test_asking_for_more_than_there_is_says_so():
    with pytest.raises(WarpsmithError, match=r"lower data\.heldout"):
        generate(SMALL.model_copy(update={"heldout": Counts(level2=100_000, level3=0)}), "night")


@pytest.mark.parametrize(
    "operator",
    [
        Operator("cbrt", "torch.pow({x}.abs(), 1 / 3)", "x[...] -> out[...]", "cbrtf(fabsf({x}))"),
        Operator("aaa", "{x} * {y} + 1", "x[...], y[...] -> out[...]", "{x} * {y} + 1.f"),
        Operator("l2", "{x}.norm(dim=1)", "x[m, n] -> out[m]", "sqrtf(s)", writers=folds.WRITERS),
    ],
    ids=lambda operator: operator.name,
)
def test_an_added_operator_moves_no_problem(drawn, monkeypatch, operator):
    """Its own combinations take the places that their hashes give them; all others stay as they were."""
    monkeypatch.setitem(OPERATORS, operator.name, operator)
    settings = SMALL.model_copy(update={"operators": (*SMALL.operators, operator.name)})
    after = generate(settings, "2026-12-01")
    for split in (Split.HELDOUT, Split.VALIDATION, Split.TRAIN):
        for level in (2, 3):
            old, new = (
                [i for i in draw.problems if i.problem.split is split and i.problem.level == level]
                for draw in (drawn, after)
            )
            kept = [i.problem.id for i in new if operator.name not in i.graph.operators]
            assert kept == [i.problem.id for i in old if i.problem.id in set(kept)]
            assert len(kept) >= len(new) / 2
    assert any(operator.name in item.graph.operators for item in after.problems)


#: SHA-256 of what `_told` says of the problems drawn before operators had dtypes, attributes and graphs.
_AS_BEFORE = "5f3ec881f71110b5eeedd63c83e58a81ff8886167d8e280dea026dcc9c4e1ec6"


def _told(draw, taught):
    for item in draw.problems:
        yield f"{item.problem.id} {item.problem.split} {item.problem.shipped.program}"
        yield from (write(item.graph, style) for style in styles(item.graph) if style in taught)


def test_the_tiny_model_has_the_problems_and_kernels_that_it_always_had():
    """Its held-out set is a yardstick over nights: no operator and no writer may move it."""
    settings = toy(
        train=Counts(level2=24, level3=16),
        validation=Counts(level2=2, level3=3),
        heldout=Counts(level2=10, level3=12),
        structured_share=0.3,
        broadcast_share=0.3,
    )
    taught = {KernelStyle.UNGUARDED, *settings.style_weights}
    told = "\n".join(_told(generate(settings, "2026-01-01"), taught))
    assert hashlib.sha256(told.encode()).hexdigest() == _AS_BEFORE
