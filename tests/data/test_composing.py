"""Graphs over all operators: seeded, the same for any number of processes, and never degenerate."""

from __future__ import annotations

import pickle
from itertools import islice

import pytest

from data.composing import LEVELS, Part, compose, compose_many, part
from data.coverage import coverage, styles_of
from data.generator import generate
from data.kernels.writing import styles, write
from data.operators.registry import OPERATORS
from data.screen import defect
from data.settings import Counts
from data.solutions import respond
from data.splits import split_of
from evaluation.check import SizeSet
from evaluation.errors import WarpsmithError
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Split
from evaluation.settings import EvaluationSettings
from tests.data.toy import toy

OPTIONS = {"seed": "test", "split": Split.TRAIN, "tolerance": 2e-4}


@pytest.fixture(scope="module")
def drawn():
    return list(compose_many(25, OPERATORS, **OPTIONS))


def test_every_level_occurs_and_nothing_is_degenerate(drawn):
    assert sorted({len(item.graph.nodes) for item in drawn}) == list(LEVELS)
    assert all(defect(item.graph) is None for item in drawn)
    assert {item.problem.level for item in drawn} == {1, 2, 3, 4}


def test_values_are_used_twice_and_several_inputs_and_outputs_occur(drawn):
    graphs = [item.graph for item in drawn]
    assert any(len(list(graph.readers(name))) > 1 for graph in graphs for name in graph.sources)
    assert any(len(graph.inputs) > 2 for graph in graphs)
    assert any(len(graph.outputs) > 1 for graph in graphs)
    assert len({graph.dtype for graph in graphs}) > 1


def test_the_number_alone_says_what_a_graph_is(drawn):
    again = [item for number in (7, 3, 0) if (item := compose(OPERATORS, number, **OPTIONS)) is not None]
    assert again and all(item in drawn for item in again)
    assert list(compose_many(5, OPERATORS, **OPTIONS)) == drawn[:5]


def test_another_process_draws_the_same(drawn):
    copy = pickle.loads(pickle.dumps(drawn[4]))
    assert copy == drawn[4]
    assert copy.graph.nodes[0].operator is drawn[4].graph.nodes[0].operator


def test_a_layer_begins_with_a_weight():
    assert part(OPERATORS["conv2d"]) is Part.HEAD
    assert part(OPERATORS["matmul"]) is Part.HEAD
    assert part(OPERATORS["softmax"]) is Part.BODY
    assert part(OPERATORS["relu"]) is Part.POINT
    assert part(OPERATORS["add"]) is Part.JOIN
    assert part(OPERATORS["sum"]) is Part.TAIL


def test_operators_that_make_nothing_are_one_sentence():
    with pytest.raises(WarpsmithError, match="choose more of them"):
        list(compose_many(5, {"neg": OPERATORS["neg"]}, **(OPTIONS | {"accept": lambda _graph: False})))


def test_a_night_draws_graphs_of_its_splits():
    settings = toy(
        train=Counts(level2=2, level3=0, graphs=6),
        validation=Counts(level2=0, level3=0),
        heldout=Counts(level2=2, level3=0, graphs=4),
    )
    draw = generate(settings, "2026-12-01")
    held = [item for item in draw.problems if item.problem.split is Split.HELDOUT]
    assert len(held) == 6
    assert all(split_of(item.graph.operators, settings) is Split.HELDOUT for item in held)


def test_kernels_of_drawn_graphs_are_right(drawn, one_reference):
    items = [item for item in islice(drawn, 4, 25, 4)]
    requests = [Request(one.problem, respond(write(one.graph, styles(one.graph)[-1]))) for one in items]
    with EvaluationPool(EvaluationSettings(workers=1), one_reference) as pool:
        verdicts = pool.evaluate(requests, seed=1, sizes=SizeSet.CHECKS)
    assert [verdict.reason for verdict in verdicts if not verdict.correct] == []


def test_every_operator_has_styles_and_stands_in_the_table(drawn):
    page = coverage(drawn)
    for name, operator in OPERATORS.items():
        assert len(styles_of(operator)) >= 2, name
        assert f"| {name} |" in page
