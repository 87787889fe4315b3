"""Kernels that cheat, fail or attack, on every backend that this machine has: each gets the verdict it must.

Each file in tests/hacks/both should add two vectors and does something else. Its head names the rows of the
catalogue (docs/reward-hacks.md) and the statuses that are right on each backend. After all of them an honest
kernel must be judged as if nothing had happened.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.backends import open_backend
from evaluation.errors import WarpsmithError
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.selftest import expected_statuses, verdict_on
from evaluation.verdict import Status
from tests.evaluation.cuda_kernels import ADD, needs_gpu

HACKS = sorted((Path(__file__).parent / "both").glob("*.cu"))
BACKENDS = [
    pytest.param(BackendName.SIMT, id="simt"),
    pytest.param(BackendName.CUDA, id="cuda", marks=needs_gpu),
]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    settings = EvaluationSettings(
        backend=request.param, access_budget=2_000_000, time_limit_s=2.0, compile_cpu_s=4
    )
    try:
        found = open_backend(settings)
    except WarpsmithError as error:
        pytest.skip(str(error))
    yield found
    found.close()


@pytest.mark.parametrize("path", HACKS, ids=lambda path: path.stem)
def test_is_not_accepted(backend, path):
    source = path.read_text()
    if not expected_statuses(source, backend.name):
        pytest.skip("the attack is on the clock; nothing is timed on this backend")
    verdict = verdict_on(backend, source)
    assert verdict.status in expected_statuses(source, backend.name), verdict
    assert verdict.reason


def test_the_honest_kernel_is_correct_after_all_of_them(backend):
    assert verdict_on(backend, ADD).correct


@pytest.mark.parametrize("path", HACKS, ids=lambda path: path.stem)
def test_every_file_says_what_must_become_of_it(path):
    source = path.read_text()
    assert expected_statuses(source, BackendName.CUDA)
    for name in BackendName:
        assert Status.CORRECT not in expected_statuses(source, name)
