"""Torch-extension answers, taken over and judged: tests/evaluation/extension/answers/PROGRAM/.

A folder holds `program.py` and answers beside it. An answer begins with a comment: `expect`, and then the
status of its verdict, or the reason for which it is not taken over.
"""

from functools import cache, partial
from pathlib import Path

import pytest

from evaluation.check import SizeSet, check
from evaluation.extension.adapt import adapt, is_extension
from evaluation.extension.outcome import Refused
from evaluation.programs.program import problem_from_program

ANSWERS = Path(__file__).parent / "answers"
FILES = sorted(path for path in ANSWERS.glob("*/*") if path.name != "program.py")


def expected(text):
    """What the first line of an answer says."""
    return text.split("\n")[0].partition("expect ")[2]


@pytest.fixture(scope="module")
def problem_of(reference):
    """The problem that a program poses: several answers share one."""
    return cache(partial(problem_from_program, id="answer", source="answers", reference=reference))


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_answer(path, simt, reference, problem_of):
    text = path.read_text()
    problem = problem_of((path.parent / "program.py").read_text())
    assert is_extension(text)
    taken = adapt(text, problem)
    if isinstance(taken, Refused):
        assert expected(text) == taken.reason, taken
        return
    response = f"```cuda\n{taken.text}\n```"
    verdict = check(problem, response, sizes=SizeSet.CHECKS, seed=0, backend=simt, reference=reference)
    assert verdict.status == expected(text), f"{verdict.reason}\n{taken.text}"
