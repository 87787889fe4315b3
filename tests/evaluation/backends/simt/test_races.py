"""Kernels that synchronise rightly are correct, and those that only seem to are not, in every usual style."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.verdict import Status
from tests.evaluation.simt_runs import SETTINGS
from tests.evaluation.synchronised import verdict_on

RIGHT = sorted((Path(__file__).parent / "kernels" / "synchronised").glob("*.cu"))
RACES = sorted((Path(__file__).parents[3] / "hacks" / "races").glob("*.cu"))


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_what_is_synchronised_is_correct(backend, path):
    verdict = verdict_on(backend, path)
    assert verdict.status is Status.CORRECT, verdict.reason


@pytest.mark.parametrize("path", RACES, ids=lambda path: path.stem)
def test_what_is_not_synchronised_is_refused(backend, path):
    head = dict(re.findall(r"^// (expect|reason): (.*)$", path.read_text(), re.MULTILINE))
    verdict = verdict_on(backend, path)
    assert verdict.status.value in head["expect"].split("|"), verdict.reason
    assert re.search(head.get("reason", ""), verdict.reason), verdict.reason


def test_a_call_that_the_optimizer_has_doubled_is_one_call():
    with SimtBackend(SETTINGS.model_copy(update={"optimization": "-O2"})) as simt:
        for name in ("sums_by_helper_used_twice", "votes_of_the_block"):
            verdict = verdict_on(simt, RIGHT[0].with_name(f"{name}.cu"))
            assert verdict.status is Status.CORRECT, verdict.reason
