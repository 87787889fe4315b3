"""Both backends know, without any include, what nvcc 13.0 knows (tried with it), and no more."""

from __future__ import annotations

import pytest

from evaluation.backends.nvrtc import Compiled, CompilerProcess, find_toolkit
from evaluation.backends.simt import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.evaluation.test_cuda_inspection import needs_nvrtc

KNOWN = [
    "INFINITY",
    "NAN",
    "HUGE_VALF",
    "HUGE_VAL",
    "M_PI",
    "M_PI_2",
    "M_1_PI",
    "M_SQRT2",
    "M_LOG2E",
    "M_E",
    "INT_MAX",
    "INT_MIN",
    "UINT_MAX",
    "LLONG_MAX",
    "ULLONG_MAX",
    "SHRT_MAX",
    "CHAR_BIT",
    "sizeof(int8_t)",
    "sizeof(int32_t)",
    "sizeof(int64_t)",
    "sizeof(size_t)",
    "sizeof(ptrdiff_t)",
    "sizeof(std::size_t)",
    "sizeof(uint)",
    "sizeof(ushort)",
    "sizeof(ulong)",
    "sizeof(dim3)",
    "sizeof(uint4)",
    "sizeof(std::ptrdiff_t)",
    "offsetof(float4,y)",
    "warpSize",
    "NULL!=0",
    "(assert(o),1)",
    "max(1,2)",
    "abs(-1)",
    "sqrtf(2.f)",
    "rsqrtf(2.f)",
    "fmaf(1.f,2.f,3.f)",
    "isnan(o[0])",
    "signbit(o[0])",
    "std::sqrt(2.f)",
    "std::isinf(o[0])",
    "std::fmax(1.f,2.f)",
    "std::abs(-1.f)",
]
UNKNOWN = [
    "FLT_MAX",
    "FLT_MIN",
    "FLT_EPSILON",
    "DBL_MAX",
    "UINT32_MAX",
    "INT32_MIN",
    "CUDART_INF_F",
    "CUDART_PI_F",
    "sizeof(uint32_t)",
    "sizeof(uint8_t)",
    "sizeof(uint64_t)",
    "sizeof(uint16_t)",
    "sizeof(uintptr_t)",
    "sizeof(std::int32_t)",
    "sizeof(uchar)",
    "sizeof(half)",
    "sizeof(__half)",
    "sizeof(__nv_bfloat16)",
    "std::min(1,2)",
    "std::numeric_limits<float>::max()",
]
CASES = [*((name, True) for name in KNOWN), *((name, False) for name in UNKNOWN)]
INCLUDES = "#include <cfloat>\n#include <cstdint>\n#include <math_constants.h>\n"
INCLUDED = ("FLT_MAX", "UINT32_MAX", "sizeof(uint32_t)", "CUDART_INF_F")


def source(expression: str) -> str:
    return f'extern "C" __global__ void k(float* o) {{ o[0] = (float)({expression}); }}'


@pytest.fixture(scope="module")
def simt():
    with SimtBackend(EvaluationSettings()) as backend:
        yield backend


@pytest.fixture(scope="module")
def nvrtc():
    process = CompilerProcess(find_toolkit(), seconds=20)
    yield process
    process.close()


@pytest.mark.parametrize(("expression", "known"), CASES)
def test_simt(simt, expression, known):
    built = simt.build(source(expression), ["k"])
    assert isinstance(built, Refusal) != known, built
    if not known:
        assert built.status is Status.COMPILE_ERROR


@pytest.mark.parametrize("expression", INCLUDED)
def test_simt_with_includes(simt, expression):
    built = simt.build(INCLUDES + source(expression), ["k"])
    assert not isinstance(built, Refusal), built


@needs_nvrtc
@pytest.mark.parametrize(("expression", "known"), CASES)
def test_nvrtc(nvrtc, expression, known):
    compiled = nvrtc.compile(source(expression), "sm_90a")
    assert isinstance(compiled, Compiled) == known, compiled


@needs_nvrtc
@pytest.mark.parametrize("expression", INCLUDED)
def test_nvrtc_with_includes(nvrtc, expression):
    compiled = nvrtc.compile(INCLUDES + source(expression), "sm_90a")
    assert isinstance(compiled, Compiled), compiled
