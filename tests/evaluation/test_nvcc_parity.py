"""Both backends take, without any include, the names and overloads that nvcc takes, and no others.

nvcc_accepts.tsv says what nvcc 13.0 makes of expressions in a kernel `k(float* o, int n)`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.backends.nvrtc import Compiled, CompilerProcess, find_toolkit
from evaluation.backends.simt import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.evaluation.test_cuda_inspection import needs_nvrtc

LINES = Path(__file__).with_name("nvcc_accepts.tsv").read_text().splitlines()
CASES = [(expression, answer == "yes") for answer, expression in (line.split("\t") for line in LINES)]
HEADERS = ("cmath", "math.h", "cfloat", "cstdint", "math_constants.h")
INCLUDES = "".join(f"#include <{header}>\n" for header in HEADERS)
INCLUDED = ("FLT_MAX", "UINT32_MAX", "sizeof(uint32_t)", "CUDART_INF_F")


def source(expression: str) -> str:
    return f'extern "C" __global__ void k(float* o, int n) {{ o[0] = (float)({expression}); }}'


@pytest.fixture(scope="module")
def simt():
    with SimtBackend(EvaluationSettings(require_sm90=False)) as backend:
        yield backend


@pytest.fixture(scope="module")
def nvrtc():
    process = CompilerProcess(find_toolkit(), seconds=20)
    yield process
    process.close()


@pytest.mark.parametrize(("expression", "accepted"), CASES)
def test_simt(simt, expression, accepted):
    built = simt.build(source(expression), ["k"])
    assert isinstance(built, Refusal) != accepted, built
    if not accepted:
        assert built.status is Status.COMPILE_ERROR


@pytest.mark.parametrize("expression", INCLUDED)
def test_simt_with_includes(simt, expression):
    built = simt.build(INCLUDES + source(expression), ["k"])
    assert not isinstance(built, Refusal), built


@needs_nvrtc
@pytest.mark.parametrize(("expression", "accepted"), CASES)
def test_nvrtc(nvrtc, expression, accepted):
    compiled = nvrtc.compile(source(expression), "sm_90a")
    assert isinstance(compiled, Compiled) == accepted, compiled


@needs_nvrtc
@pytest.mark.parametrize("expression", INCLUDED)
def test_nvrtc_with_includes(nvrtc, expression):
    compiled = nvrtc.compile(INCLUDES + source(expression), "sm_90a")
    assert isinstance(compiled, Compiled), compiled
