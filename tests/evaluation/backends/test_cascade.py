"""Two backends in a row: the first refuses what the second does not see, where it can tell."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.backends.base import Run, RunOutcome
from evaluation.backends.cascade import CascadeBackend
from evaluation.backends.simt.backend import SimtBackend
from evaluation.candidate import parse_source
from evaluation.plan import plan
from evaluation.problem import Instance, Tensor
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status

SUM = """// launch add<<<ceil_div(n, 64), 64>>>(x, out, n)
extern "C" __global__ void add(const float* x, float* out, int n) {
    __shared__ float row[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    row[threadIdx.x] = i < n ? x[i] : 0.0f;
    BARRIER
    if (i < n) out[i] = row[threadIdx.x] + row[63 - threadIdx.x];
}
"""


class NoChecks:
    """Stands for a GPU, which lets races pass: the outputs are those of a kernel without any."""

    name = "cuda"

    def __init__(self, backend: SimtBackend) -> None:
        self._backend = backend

    def build(self, source, kernels):
        return self._backend.build(source.replace("/* none */", "__syncthreads();"), kernels)

    def __getattr__(self, name):
        return getattr(self._backend, name)


@pytest.fixture(scope="module")
def cascade():
    settings = EvaluationSettings(require_sm90=False)
    backend = CascadeBackend(SimtBackend(settings), NoChecks(SimtBackend(settings)))
    yield backend
    backend.close()


def judged(backend: CascadeBackend, source: str) -> RunOutcome | Refusal:
    candidate = parse_source(source)
    x, out = (Tensor(name=name, shape=(100,), dtype="float32") for name in ("x", "out"))
    planned = plan(candidate, Instance(program="", sizes={"n": 100}, inputs=(x,), outputs=(out,)))
    built = backend.build(candidate.source, planned.kernels)
    assert not isinstance(built, Refusal), built
    return backend.run(built, [Run(planned, {"x": np.arange(100, dtype=np.float32)})])


def test_a_sound_kernel_gets_the_last_backends_outputs(cascade):
    outcome = judged(cascade, SUM.replace("BARRIER", "__syncthreads();"))
    assert isinstance(outcome, RunOutcome)
    assert outcome.outputs[0]["out"][0] == 63.0
    assert [(index, outputs["out"][0]) for index, outputs in outcome.elsewhere] == [(0, 63.0)]


def test_the_first_backend_refuses_what_the_last_one_does_not_see(cascade):
    outcome = judged(cascade, SUM.replace("BARRIER", "/* none */"))
    assert isinstance(outcome, Refusal)
    assert outcome.status is Status.FAULT


def test_where_the_first_cannot_compile_the_last_decides(cascade, monkeypatch):
    refusal = Refusal(status=Status.UNSUPPORTED, reason="tensor cores")
    monkeypatch.setattr(cascade._first, "build", lambda source, kernels: refusal)
    assert isinstance(judged(cascade, SUM.replace("BARRIER", "/* none */")), RunOutcome)
