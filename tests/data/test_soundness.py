"""A problem whose check accepts an answer without work is hardened or refused, with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.building import Builder
from data.chain import Layout, Step, chain
from data.generator import Generated
from data.operators.registry import OPERATORS
from data.rendering import problem
from data.soundness import sound, unsound
from data.trusted import TrustedReference
from evaluation.problem import Split
from evaluation.programs.program import problem_from_program
from evaluation.reference.draw import Draw, Kind

NORM = """
import torch
import torch.nn as nn
rows = 256
cols = 96
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(cols)
    def forward(self, x):
        return {result}
def get_inputs():
    return [torch.randn(rows, cols)]
def get_init_inputs():
    return []
"""


@pytest.fixture
def reference():
    with TrustedReference() as reference:
        yield reference


def generated(layout: Layout, *steps: tuple[str, str | None]) -> Generated:
    graph = chain([Step(OPERATORS[name], operand) for name, operand in steps], layout)
    return Generated(problem(graph, Split.TRAIN, 2e-4), graph)


def test_a_sound_problem_stays_as_it_is(reference):
    item = generated(Layout.MATRIX, ("relu", None), ("add", "y"))
    assert sound(item, reference, refuse_idle_inputs=True) is item


def test_an_output_need_not_follow_from_every_input(reference):
    builder = Builder()
    (first,) = builder.add(OPERATORS["tanh"])
    (second,) = builder.add(OPERATORS["mul"], [first])
    graph = builder.graph(first, second)
    item = Generated(problem(graph, Split.TRAIN, 2e-4), graph)
    assert sound(item, reference, refuse_idle_inputs=True) is item


def test_an_input_lost_among_many_gets_a_narrow_size(reference):
    item = generated(Layout.MATRIX, ("hardtanh", None), ("minimum", "y"), ("amin", None))
    assert unsound(item.problem, reference) == "the check accepts an answer that ignores the input x as out"
    hardened = sound(item, reference, refuse_idle_inputs=True)
    assert isinstance(hardened, Generated)
    assert hardened.problem.checks[:-1] == item.problem.checks
    assert unsound(hardened.problem, reference) is None


def test_an_input_that_cancels_out_is_refused_on_demand_only(reference):
    item = generated(Layout.VECTOR, ("maximum", "y"), ("minimum", "y"), ("exp", None))
    assert sound(item, reference, refuse_idle_inputs=False) is item
    assert "ignores the input x" in str(sound(item, reference, refuse_idle_inputs=True))


def test_a_constant_output_is_refused(reference):
    item = generated(Layout.VECTOR, ("sub", "x"))
    assert sound(item, reference, refuse_idle_inputs=False) == "the check accepts zeros as out"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("self.norm(x)", None),  # its running statistics have no influence in training mode
        ("x.cos() + 1e-5 * self.norm.weight", "ignores the input norm_weight"),
    ],
)
def test_programs_from_outside_are_tried_confined(confined, result, reason):
    outside = problem_from_program(NORM.format(result=result), id="test", source="test", reference=confined)
    found = unsound(outside, confined)
    assert found is None if reason is None else reason in str(found)


def test_ignoring_is_the_closed_form(confined, reference):
    instance = generated(Layout.BROADCAST, ("relu", None), ("add", "y")).problem.checks[0]
    for pool in (confined, reference):
        draws = Draw(Kind.OWN, 0), Draw(Kind.SIGNED, 1)
        own, other = pool.trials([(instance, draw) for draw in draws])
        x, y = (other.inputs["x"].astype(np.float64), own.inputs["y"].astype(np.float64))
        found = pool.ignoring(instance, *draws)
        np.testing.assert_array_equal(found["x"]["out"], np.maximum(x, 0) + y)
        assert set(found) == {"x", "y"}


def test_a_problem_without_numbers_on_its_own_inputs_is_refused(reference):
    item = generated(Layout.MATRIX, ("exp", None))
    checks = tuple(
        check.model_copy(update={"program": check.program.replace("torch.exp(", "torch.exp(float('nan') * ")})
        for check in item.problem.checks
    )
    without = replace(item, problem=item.problem.model_copy(update={"checks": checks}))
    assert "not finite" in str(sound(without, reference, refuse_idle_inputs=True))
