"""The real evaluator for tests: one simt backend a session, and small problems."""

import pytest

from evaluation.backends import open_backend
from evaluation.errors import WarpsmithError
from evaluation.problem import Dialect, Instance, Problem, Split
from evaluation.settings import EvaluationSettings


@pytest.fixture(scope="session")
def reference(confined):
    return confined


@pytest.fixture(scope="session")
def simt():
    try:
        backend = open_backend(EvaluationSettings())
    except WarpsmithError as error:
        pytest.skip(str(error))
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def make_problem(reference):
    """A function from a program template and several choices of sizes to a problem."""

    def make(template, *choices, aligned=(), tolerance=1e-4):
        checks = tuple(_instance(reference, template, sizes) for sizes in choices)
        return Problem(
            id="test", source="test", level=1, split=Split.TRAIN, dialect=Dialect.FUNCTION, operators=(),
            shipped=checks[0], checks=checks,
            aligned=tuple(_instance(reference, template, sizes) for sizes in aligned),
            tolerance=tolerance, flops=0, bytes=1,
        )  # fmt: skip

    return make


def _instance(reference, template, sizes):
    program = "\n".join([*(f"{name} = {value}" for name, value in sizes.items()), template])
    found = reference.describe(program)
    return Instance(
        program=program, sizes=sizes, inputs=found.inputs, parameters=found.parameters, outputs=found.outputs
    )  # fmt: skip


@pytest.fixture(scope="session")
def row_sum(make_problem):
    """Sums of rows, at two ragged sizes and one aligned one."""
    program = """
import torch

def fused_operator(x):
    return torch.relu(x).sum(1)

def get_inputs():
    return [torch.randn(rows, cols)]
"""
    return make_problem(
        program, {"rows": 37, "cols": 45}, {"rows": 70, "cols": 33}, aligned=({"rows": 64, "cols": 32},)
    )


@pytest.fixture(scope="session")
def double(make_problem):
    """An elementwise problem with a single choice of sizes."""
    program = """
import torch

def fused_operator(x):
    return x * 2

def get_inputs():
    return [torch.randn(n)]
"""
    return make_problem(program, {"n": 1000})
