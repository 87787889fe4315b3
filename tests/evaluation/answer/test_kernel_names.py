"""Which function a launch line means, in text and to both compilers."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.answer.kernel_names import declarations, instance, prepared
from evaluation.backends.simt.backend import SimtBackend
from evaluation.candidate import Candidate, parse_source
from evaluation.check import judge
from evaluation.expressions import UnknownNameError
from evaluation.problem import Instance, Tensor
from evaluation.reference.draw import Case, Kind, Trial
from evaluation.settings import EvaluationSettings
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status
from tests.evaluation.backends.cuda.test_inspection import needs_nvrtc


@pytest.mark.parametrize(
    "definition",
    [
        'extern "C" __global__ void k(float* x) {}',
        "__global__ void k(float* x) {}",
        "static __global__ void k(float* x) {}",
        'extern "C" __global__ void __launch_bounds__(256) k(float* x) {}',
        'extern "C" __global__ __launch_bounds__((BM/TM)*(BN/TN), 2) void k(float* x) {}',
        'extern "C" {\n__global__ void k(float* x) {}\n}',
        'extern "C" __launch_bounds__(256) __global__ void k(float* x) {}',
        'extern "C" __global__ __launch_bounds__(min(256, (1 << 8))) __noinline__ void k(float* x) {}',
        'extern "C"\n__global__\nvoid\nk\n(float* x) {}',
        '#define N 4\nextern "C" __global__ void k(float* x) {}',
        "__device__ void f() {}\n__global__ void other() {}\n__global__ void k() {}",
        '__device__ const char* s = "} namespace a {"; __global__ void k() {}',
        "template <typename T, int N = (1 << 4)> __global__ void k(T* x, T y = T(1), Pair<int, T> z = {}) {}",
    ],
)
def test_declarations_are_found(definition):
    assert [one.namespace for one in declarations(plain(definition)) if one.name == "k"] == [""]
    assert not isinstance(prepared(plain(definition), ["k"]), Refusal)


def test_a_declaration_says_what_it_declares():
    code = plain(
        "namespace a { namespace b::c { template <class T, int N> __global__ void k(T* x, int n); } }"
    )
    (found,) = declarations(code)
    assert found.namespace == "a::b::c::"
    assert (found.template, found.parameters) == (("class T", "int N"), ("T* x", "int n"))
    assert not found.is_instance
    (one,) = declarations("template <> __global__ void k<float>(float* x) {}")
    assert one.is_instance


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "__global__ void kk() {}",
        "// __global__ void k() {}",
        "__device__ void k() {}",
        'const char* s = "__global__ void k() {}";',
        "#if 0\n__device__ void k() {}\n#endif",
    ],
)
def test_a_name_that_is_not_declared_is_rejected(definition):
    refusal = prepared(plain(definition), ["k"])
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.REJECTED
    assert "does not define" in refusal.reason


TEMPLATE = (
    "template <class T, int N = 4, class U = float> __global__ void k(const T* __restrict__ x, U y, T z) {}"
)


@pytest.mark.parametrize(
    ("definition", "template", "arguments", "expected"),
    [
        ("__global__ void k(float* x) {}", (), ("float*",), "k"),
        ("namespace a { __global__ void k(float* x) {} }", (), ("float*",), "a::k"),
        ("namespace { __global__ void k(float* x) {} }", (), ("float*",), "k"),
        ("__global__ void k(float*); __global__ void k(float* x) {}", (), ("float*",), "k"),
        (TEMPLATE, (), ("float*", "int", "int"), "k<float, 4, int>"),
        (TEMPLATE, (), ("__half*", "float", "int"), "k<__half, 4, float>"),
        (TEMPLATE, ("double", "8"), ("float*", "int", "int"), "k<double, 8, int>"),
        (TEMPLATE, ("double", "8", "int"), ("float*", "int", "int"), "k<double, 8, int>"),
        ("namespace a { template <class T> __global__ void k(T const* x, T* o) {} }",
         (), ("int*", "float*"), "a::k<int>"),
        ("template <bool B> __global__ void k(float* x) {}", ("true",), ("float*",), "k<true>"),
        ("template <class T> __global__ void k(T* x) {} template <> __global__ void k<int>(int* x) {}",
         (), ("int*",), "k<int>"),
        ("#define K __global__ void k\nK(float* x) {}", (), ("float*",), "k"),
    ],
)  # fmt: skip
def test_instances(definition, template, arguments, expected):
    assert instance(plain(definition), "k", template, arguments) == expected


@pytest.mark.parametrize(
    ("definition", "template", "arguments", "words"),
    [
        ("__global__ void k(float* x) {} __global__ void k(float* x, int n) {}", (), ("float*",), "several"),
        ("namespace a { __global__ void k() {} } __global__ void k() {}", (), (), "several kernels"),
        ("template <class T, int N> __global__ void k(T* x) {}", (), ("float*",), "such as `k<float, 256>"),
        ("template <class T> __global__ void k(float* x) {}", (), ("float*",), "for class T"),
        ("template <class T> __global__ void k(float* x) {}", ("int", "4"), ("float*",), "gives 2"),
        ("__global__ void k(float* x) {}", ("int",), ("float*",), "no template"),
    ],
)
def test_what_declarations_do_not_tell_is_said(definition, template, arguments, words):
    with pytest.raises(UnknownNameError, match=words):
        instance(plain(definition), "k", template, arguments)


@given(st.text(alphabet="(<>{}[];,:=\"'#\\\n T\x00"), st.sampled_from(["", "template <", "namespace a {"]))
def test_odd_text_never_raises(text, start):
    for source in (f"{start} __global__ {text}", f"{start}{text} __global__ void k({text}"):
        prepared(plain(source), ["k", "a::k<float>"])
        with suppress(UnknownNameError):
            instance(plain(source), "k", (), ("float*",))


KERNELS = {
    "called norm": ('extern "C" __global__ void norm(%s)', "norm", "x[i] + norm3df(1, 0, 0) - 1"),
    "plain and called norm": ("__global__ void norm(%s)", "norm", "x[i]"),
    "called exp": ('extern "C" __global__ void exp(%s)', "exp", "x[i] * exp(0.0f)"),
    "with a function of that name": (
        "__device__ float k(float v) { return v; } __global__ void k(%s)", "k", "k(x[i])"),
    "called norm, with the new name taken": (
        '__device__ float norm_kernel(float v) { return v; } extern "C" __global__ void norm(%s)', "norm",
        "norm_kernel(x[i])"),
    "called max, declared before": (
        'extern "C" __global__ void max(%s); extern "C" __global__ void max(%s)', "max", "max(x[i], x[i])"),
    "called round": ("__global__ void __launch_bounds__(256) round(%s)", "round", "x[i]"),
    "called reduce": ("__global__ void reduce(%s)", "reduce", "x[i]"),
    "plain": ("__global__ void k(%s)", "k", "x[i]"),
    "static": ("static __global__ void k(%s)", "k", "x[i]"),
    "in a namespace": ("namespace ops { __global__ void k(%s); } __global__ void ops::k(%s)", "k", "x[i]"),
    "template": ("template <typename T> __global__ void k(%s)", "k", "T(1) * x[i]"),
    "instance": ("template <typename T, int N> __global__ void k(%s)", "k<float, 2>", "x[i] * (T)(N - 1)"),
    "template with a default": ("template <class T, int N = 3> __global__ void k(%s)", "k", "x[i] * (N - 2)"),
    "template called norm": ("template <typename T> __global__ void norm(%s)", "norm", "x[i]"),
    "by a macro": ("#define KERNEL(name) __global__ void name\nKERNEL(k)(%s)", "k", "x[i]"),
    "pasted": ("#define K(name, type) __global__ void name##_##type\nK(k, f32)(%s)", "k_f32", "x[i]"),
    "pasted in a template": (
        "#define NAME(x) x##ed\ntemplate <class T> __global__ void NAME(add)(%s)", "added<float>", "x[i]"),
    "with pasted variables": (
        "#define TWICE(n) float twice##n = 2 * x[i]\n__global__ void k(%s)", "k",
        "0; if (i < n) { TWICE(1); out[i] = twice1 / 2; }"),
    "named by a macro": ("#define NAME k\n__global__ void NAME(%s)", "k", "x[i]"),
}  # fmt: skip


def candidate(name: str) -> Candidate:
    head, launched, value = KERNELS[name]
    T = "T" if "template" in head else "float"
    parameters = f"const {T}* x, {T}* out, int n"
    source = (
        f"// launch {launched}<<<ceil_div(n, 128), 128>>>(x, out, n)\n{head.replace('%s', parameters)} {{\n"
        f"    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < n) out[i] = {value};\n}}\n"
    )
    found = parse_source(source)
    assert isinstance(found, Candidate), found
    return found


def cases(dtype: str = "float32") -> list[Case]:
    found = []
    for n in (100, 300):
        x = np.arange(n).astype(dtype)
        tensors = Tensor(name="x", shape=(n,), dtype=dtype), Tensor(name="out", shape=(n,), dtype=dtype)
        at = Instance(program="", sizes={"n": n}, inputs=tensors[:1], outputs=tensors[1:])
        zero = {"out": np.zeros(n)}
        found.append(Case(at, Kind.OWN, Trial({"x": x}, {"out": x.astype(np.float64)}, zero, zero)))
    return found


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=needs_nvrtc)], ids=["alone", "sm_90"])
def backend(request):
    with SimtBackend(EvaluationSettings(require_sm90=request.param)) as simt:
        yield simt


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_launched_however_they_are_declared(backend, name):
    verdict = judge(candidate(name), cases(), 1e-4, backend, cases()[0].instance)
    assert verdict.status is Status.CORRECT, verdict


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int32", "int16", "int8", "uint8"])
def test_a_template_is_instantiated_for_the_dtypes_of_its_buffers(backend, dtype):
    source = (
        "#include <cuda_fp16.h>\n// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)\n"
        "template <class T> __global__ void k(const T* x, T* out, int n) {\n"
        "int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) out[i] = x[i]; }"
    )
    found = parse_source(source)
    assert isinstance(found, Candidate)
    verdict = judge(found, cases(dtype)[:1], 1e-4, backend, cases(dtype)[0].instance)
    assert verdict.status is Status.CORRECT, verdict


def test_messages_call_a_kernel_by_its_name(backend):
    source = (
        "// launch k<float, 2><<<1, 128>>>(x, out, n)\n"
        "template <class T, int N> __global__ void k(const T* x, T* out, int n) { out[n + threadIdx.x] = 1; }"
    )
    found = parse_source(source)
    assert isinstance(found, Candidate)
    verdict = judge(found, cases(), 1e-4, backend, cases()[0].instance)
    assert verdict.status is Status.FAULT
    assert verdict.reason.startswith("kernel k<float, 2>, block (0, 0, 0)")


@needs_nvrtc
def test_more_threads_than_launch_bounds_are_a_launch_error():
    source = (
        "// launch k<<<ceil_div(n, 2 * SIZE), 2 * SIZE>>>(x, out, n)\nconstexpr int SIZE = 64;\n"
        "template <class T> __global__ void __launch_bounds__(SIZE) k(const T* x, T* out, int n) {\n"
        "int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) out[i] = x[i]; }"
    )
    found = parse_source(source)
    assert isinstance(found, Candidate)
    with SimtBackend(EvaluationSettings()) as simt:
        verdict = judge(found, cases(), 1e-4, simt, cases()[0].instance)
    assert verdict.status is Status.LAUNCH_ERROR
    assert "launch k<float>: 128 threads a block are over its __launch_bounds__ of 64" in verdict.reason
