"""Both backends take, without any include, the names and overloads that nvcc takes, and no others.

nvcc_accepts.tsv says what nvcc 13.0 makes of expressions in a kernel `k(float* o, int n)`, and
nvcc_accepts_half.tsv what it makes of the 16-bit types, whose operands often cannot be mixed. For which types
there are atomics, shuffles and cache hints says nvcc_accepts_types.tsv.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.backends.cuda.nvrtc import Compiled, CompilerProcess, find_toolkit
from evaluation.backends.simt.backend import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.evaluation.backends.cuda.test_inspection import needs_nvrtc


def cases(name: str) -> list[tuple[str, bool]]:
    lines = Path(__file__).with_name(name).read_text().splitlines()
    return [(expression, answer == "yes") for answer, expression in (line.split("\t") for line in lines)]


CASES = cases("nvcc_accepts.tsv")
HALF_CASES = cases("nvcc_accepts_half.tsv")
HALF_HEAD = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void k(float* a, __half* h, __nv_bfloat16* b, int n, __half2* h2) { a[0] = (float)("""
TYPE_CASES = cases("nvcc_accepts_types.tsv")
TYPE_HEAD = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
struct S { int a, b; };
extern "C" __global__ void k(void* p) { """
ALL_TYPES = TYPE_HEAD + "".join(f"{expression}; " for expression, accepted in TYPE_CASES if accepted) + "}"
NO_TYPES = [expression for expression, accepted in TYPE_CASES if not accepted]
HEADERS = (
    "cmath", "math.h", "cfloat", "cstdint", "math_constants.h", "limits", "algorithm", "type_traits",
    "utility",
)  # fmt: skip
INCLUDES = "".join(f"#include <{header}>\n" for header in HEADERS)
INCLUDED = (
    "FLT_MAX",
    "UINT32_MAX",
    "sizeof(uint32_t)",
    "CUDART_INF_F",
    # As with nvcc's --expt-relaxed-constexpr, which PyTorch's own build of extensions sets.
    "-std::numeric_limits<float>::infinity()",
    "std::numeric_limits<double>::lowest() + std::numeric_limits<float>::quiet_NaN()",
    "std::numeric_limits<int>::max() - std::numeric_limits<unsigned char>::min()",
    "std::max(o[0], 1.0f) + std::min(n, 2) + std::clamp(o[1], 0.0f, 1.0f)",
    "std::is_same<float, float>::value && std::is_floating_point_v<double> && !std::is_integral_v<float>",
    "sizeof(std::conditional_t<(sizeof(int) > 2), double, char>) + sizeof(std::make_unsigned_t<int>)",
    "std::is_signed_v<char> && std::is_unsigned_v<uint8_t> && std::is_pointer_v<float*>",
    "(std::enable_if_t<std::is_arithmetic_v<float>, float>)o[0]",
)


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


@pytest.mark.parametrize(("expression", "accepted"), HALF_CASES)
def test_simt_of_16_bits(simt, expression, accepted):
    built = simt.build(f"{HALF_HEAD}{expression}); }}", ["k"])
    assert isinstance(built, Refusal) != accepted, built


def test_simt_of_types_that_cuda_has(simt):
    built = simt.build(ALL_TYPES, ["k"])
    assert not isinstance(built, Refusal), built


@pytest.mark.parametrize("expression", NO_TYPES)
def test_simt_of_types_that_cuda_lacks(simt, expression):
    built = simt.build(f"{TYPE_HEAD}{expression}; }}", ["k"])
    assert isinstance(built, Refusal)
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
@pytest.mark.parametrize(("expression", "accepted"), HALF_CASES)
def test_nvrtc_of_16_bits(nvrtc, expression, accepted):
    compiled = nvrtc.compile(f"{HALF_HEAD}{expression}); }}", "compute_90a")
    assert isinstance(compiled, Compiled) == accepted, compiled


@needs_nvrtc
def test_nvrtc_of_types_that_cuda_has(nvrtc):
    compiled = nvrtc.compile(ALL_TYPES, "compute_90a")
    assert isinstance(compiled, Compiled), compiled


@needs_nvrtc
@pytest.mark.parametrize("expression", NO_TYPES)
def test_nvrtc_of_types_that_cuda_lacks(nvrtc, expression):
    assert isinstance(nvrtc.compile(f"{TYPE_HEAD}{expression}; }}", "compute_90a"), Refusal)


@needs_nvrtc
@pytest.mark.parametrize("expression", INCLUDED)
def test_nvrtc_with_includes(nvrtc, expression):
    compiled = nvrtc.compile(INCLUDES + source(expression), "sm_90a")
    assert isinstance(compiled, Compiled), compiled


VALUES = """
static_assert(std::numeric_limits<float>::max() == FLT_MAX);
static_assert(std::numeric_limits<float>::min() == FLT_MIN);
static_assert(std::numeric_limits<float>::epsilon() == FLT_EPSILON);
static_assert(std::numeric_limits<float>::infinity() > FLT_MAX);
static_assert(std::numeric_limits<double>::max() == DBL_MAX);
static_assert(std::numeric_limits<double>::epsilon() == DBL_EPSILON);
static_assert(std::numeric_limits<int>::min() == INT_MIN);
static_assert(std::numeric_limits<long long>::max() == LLONG_MAX);
static_assert(std::numeric_limits<unsigned>::max() == UINT_MAX);
static_assert(std::numeric_limits<short>::lowest() == -32768);
static_assert(std::numeric_limits<float>::quiet_NaN() != std::numeric_limits<float>::quiet_NaN());
static_assert(std::numeric_limits<float>::denorm_min() > 0);
static_assert(std::numeric_limits<float>::lowest() == -FLT_MAX);
static_assert(std::max(1, 2) == 2 && std::min(1.0, 2.0) == 1 && std::clamp(5, 0, 3) == 3);
static_assert(std::is_same_v<std::remove_cv_t<std::remove_reference_t<const float&>>, float>);
static_assert(std::is_same_v<std::decay_t<const int&>, int>);
static_assert(std::is_same_v<std::make_signed_t<unsigned>, int>);
static_assert(std::is_trivially_copyable_v<float4>);
static_assert(std::is_same<std::conditional_t<false, int, float>, float>());
"""


def test_values_of_standard_headers_on_the_cpu(simt):
    built = simt.build(INCLUDES + VALUES + source("1"), ["k"])
    assert not isinstance(built, Refusal), built


@needs_nvrtc
def test_values_of_standard_headers_on_a_gpu(nvrtc):
    compiled = nvrtc.compile(INCLUDES + VALUES + source("1"), "compute_90a")
    assert isinstance(compiled, Compiled), compiled
