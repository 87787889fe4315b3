"""Faulty and hostile kernels on the `simt` backend: none is accepted, each is named, nothing else happens.

Each file in tests/hacks/simt says what it does, which statuses are right (`|` between alternatives; `wrong`:
it runs, and its output is not 2 * a) and a regular expression for the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from evaluation.backends.base import RunOutcome
from evaluation.backends.simt.backend import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.toolchain import find_compiler
from evaluation.verdict import Refusal
from tests.benchmarks.simt_mix import Launch, make_run

FIXTURES = sorted((Path(__file__).parent / "simt").glob("*.cu"))
N = 1024
MARK = Path("/tmp/warpsmith_hack")


@dataclass(frozen=True)
class Hack:
    source: str
    expect: tuple[str, ...]
    reason: str


def read(path: Path) -> Hack:
    source = path.read_text()
    header = dict(re.findall(r"^// (hack|expect|reason): (.*)$", source, re.MULTILINE))
    return Hack(source, tuple(header["expect"].split("|")), header.get("reason", ""))


@pytest.fixture(scope="module")
def backend():
    settings = EvaluationSettings(
        access_budget=2_000_000, time_limit_s=10, compile_cpu_s=4, require_sm90=False
    )
    with SimtBackend(settings) as simt:
        yield simt


@pytest.fixture(autouse=True)
def no_side_effects(backend):
    before = {path for path in backend.scratch.iterdir() if path.suffix != ".o"}
    yield
    assert not MARK.exists()
    assert {path for path in backend.scratch.iterdir() if path.suffix != ".o"} <= before | {
        backend.scratch / "buffers"
    }


def judge(backend: SimtBackend, source: str) -> tuple[str, str]:
    """Status and reason, where a run that gives the right output is `correct`."""
    a = np.arange(1, N + 1, dtype=np.float32)
    launch: Launch = ("k", (4, 1, 1), (256, 1, 1), 512, ["o", "a", N])
    run = make_run([launch], {"a": a}, {"o": ((N,), "float32")})
    built = backend.build(source, ["k"])
    outcome = built if isinstance(built, Refusal) else backend.run(built, [run, run])
    if isinstance(outcome, Refusal):
        return outcome.status.value, outcome.reason
    assert isinstance(outcome, RunOutcome)
    correct = all(np.array_equal(outputs["o"], 2 * a) for outputs in outcome.outputs)
    return ("correct" if correct else "wrong"), ""


@pytest.fixture(scope="module")
def judged_once(backend):
    """The verdict on a file, worked out once."""
    return cache(lambda path: judge(backend, read(path).source))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_is_refused_with_its_name(judged_once, path):
    if path.stem == "misaligned_float4" and "clang" in find_compiler().version:
        pytest.skip("clang does not check the alignment of a copy of a whole vector")
    hack = read(path)
    status, reason = judged_once(path)
    assert status in hack.expect, reason
    assert re.search(hack.reason, reason), reason
    assert hack.reason or not reason, "the file must say why it is refused"


def test_the_honest_kernel_is_correct_after_all_of_them(backend):
    honest = """
        extern "C" __global__ void k(float* o, const float* a, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) o[i] = a[i] * 2;
        }
    """
    assert judge(backend, honest) == ("correct", "")


def test_verdicts_repeat(backend, judged_once):
    for path in FIXTURES[::13]:
        assert judge(backend, read(path).source) == judged_once(path)
