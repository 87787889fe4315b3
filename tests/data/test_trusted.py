"""The unconfined reference for generated programs."""

import numpy as np
import pytest

from data.chain import Layout, Step, chain
from data.operators.registry import OPERATORS
from data.rendering import problem as problem_of
from data.table import measure
from data.trusted import TrustedReference
from evaluation.problem import Split
from evaluation.reference.draw import Draw, Kind


@pytest.fixture
def reference():
    with TrustedReference() as reference:
        yield reference


@pytest.fixture
def problem():
    steps = [Step(OPERATORS["relu"]), Step(OPERATORS["add"], "y")]
    return problem_of(chain(steps, Layout.BROADCAST), Split.TRAIN, 1e-3)


@pytest.mark.parametrize("kind", Kind)
def test_a_trial_is_the_closed_form_in_float64(reference, problem, kind):
    trial = reference.trial(problem.checks[0], Draw(kind, 2))
    x, y = trial.inputs["x"], trial.inputs["y"]
    rows, cols = problem.checks[0].outputs[0].shape
    assert (x.dtype, x.shape, y.shape) == (np.float32, (rows, cols), (cols,))
    np.testing.assert_array_equal(trial.expected["out"], np.maximum(x.astype(np.float64), 0) + y)
    assert trial.slack["out"].max() <= 1e-5 * np.abs(trial.expected["out"]).max()


def test_a_trial_depends_on_its_arguments_alone(reference, problem):
    first, second, other = (reference.trial(problem.checks[0], Draw(Kind.LARGE, seed)) for seed in (4, 4, 6))
    np.testing.assert_array_equal(first.inputs["x"], second.inputs["x"])
    assert not np.array_equal(first.inputs["x"], other.inputs["x"])


def test_measurements_of_a_good_problem(reference, problem):
    measured = measure(problem, reference)
    assert measured.output_finite and not measured.output_copies_input
    assert measured.output_std > 0.5 and measured.output_zero_share < 0.01


@pytest.mark.parametrize(("name", "zeros"), [("sub", 1.0), ("maximum", 0.0)])
def test_measurements_of_degenerate_problems(reference, name, zeros):
    problem = problem_of(chain([Step(OPERATORS[name], "x")], Layout.VECTOR), Split.TRAIN, 1e-3)
    measured = measure(problem, reference)
    assert measured.output_zero_share == zeros
    assert (measured.output_std == 0) == (name == "sub")
    assert measured.output_copies_input == (name == "maximum")
