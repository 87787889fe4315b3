"""Kernels and programs that were once misjudged, and right ones in half precision.

A folder tests/cases/{judge,programs,half}/NAME holds `kernel.cu`, `program.py` and `expected.json`:
in `allow` the statuses of a verdict that are right, or `error` for a program that must be refused in
one sentence.
`BACKEND=cuda` runs them on a GPU.
"""

import json
import os
from functools import cache, partial
from pathlib import Path

import pytest

from evaluation.backends import open_backend
from evaluation.check import SizeSet, check
from evaluation.errors import WarpsmithError
from evaluation.programs.program import problem_from_program
from evaluation.settings import EvaluationSettings

CASES = Path(__file__).parents[1] / "cases"


def _expected(folder):
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def backend():
    try:
        opened = open_backend(EvaluationSettings(backend=os.environ.get("BACKEND", "simt")))
    except WarpsmithError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", sorted(CASES.glob("*/*")), ids=lambda folder: f"{folder.parent.name}/{folder.name}"
)
def test_case(folder, backend, reference, problem_of):
    status, reason = _verdict(folder, backend, reference, problem_of)
    assert "\n" not in reason
    assert status in _expected(folder)["allow"], reason


@pytest.fixture(scope="module")
def problem_of(reference):
    """The problem that a program poses: many cases share one."""
    return cache(partial(problem_from_program, id="case", source="cases", reference=reference))


def _verdict(folder, backend, reference, problem_of):
    """Status and reason as the command line gives them."""
    kernel = (folder / "kernel.cu").read_text()
    try:
        problem = problem_of((folder / "program.py").read_text())
        verdict = check(
            problem,
            f"```cuda\n{kernel}\n```",
            sizes=SizeSet.CHECKS,
            seed=0,
            backend=backend,
            reference=reference,
        )
    except WarpsmithError as error:
        return "error", str(error)
    return verdict.status.value, verdict.reason
