"""The simt backend's second opinion: NVRTC, where it is installed."""

from __future__ import annotations

import pytest

from evaluation.backends.cuda.nvrtc import Toolkit
from evaluation.backends.simt.backend import SimtBackend, SimtBuilt
from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.evaluation.backends.cuda.test_inspection import needs_nvrtc

K = 'extern "C" __global__ void k(float* o) { '


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(EvaluationSettings(require_sm90=True)) as backend:
        yield backend


def test_it_is_asked_for_everywhere():
    assert EvaluationSettings().require_sm90


@needs_nvrtc
def test_what_compiles_for_a_gpu_is_built(backend):
    assert isinstance(backend.build(K + "o[threadIdx.x] = sinf(o[0]) + INFINITY; }", ["k"]), SimtBuilt)


@needs_nvrtc
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("o[0] = __FLT_MAX__; }", Status.COMPILE_ERROR, "for sm_90a: "),  # the C++ compiler's own
        ("o[0] = clock(); }", Status.REJECTED, "clock"),
        ("o[0] = nothing; }", Status.COMPILE_ERROR, "nothing"),
    ],
)
def test_what_only_the_cpu_takes_is_refused(backend, body, status, words):
    refusal = backend.build(K + body, ["k"])
    assert isinstance(refusal, Refusal)
    assert refusal.status is status
    assert words in refusal.reason


@needs_nvrtc
def test_what_only_a_gpu_takes_is_unsupported(backend):
    refusal = backend.build(K + "o[0] = __vsetgtu2(1, 2) + __fmaf_ieee_rn(1, 2, 3); }", ["k"])
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.UNSUPPORTED
    assert "__fmaf_ieee_rn" in refusal.reason


def test_nvrtc_without_cudas_headers_is_not_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "evaluation.backends.simt.gpu_gate.find_toolkit", lambda: Toolkit(tmp_path, None, None)
    )
    with pytest.raises(WarpsmithError, match="require_sm90 needs CUDA's headers"):
        SimtBackend(EvaluationSettings())


def test_a_machine_without_nvrtc_is_told_what_to_do(monkeypatch):
    def nothing():
        raise WarpsmithError("NVRTC was not found")

    monkeypatch.setattr("evaluation.backends.simt.gpu_gate.find_toolkit", nothing)
    with pytest.raises(WarpsmithError, match=r"needs NVRTC; install .*, or set it to false"):
        SimtBackend(EvaluationSettings())
