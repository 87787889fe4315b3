"""What the cuda backend refuses before anything runs: includes, cubins, arguments (no GPU needed)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.backends.cuda import cubin, ptx, rules
from evaluation.backends.cuda.arguments import typed_launches
from evaluation.backends.cuda.backend import CudaBackend
from evaluation.backends.cuda.nvrtc import Compiled, CompilerProcess, find_toolkit
from evaluation.backends.cuda.ptx import Parameter
from evaluation.errors import WarpsmithError
from evaluation.plan import BufferArgument, Plan, PlannedLaunch
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.benchmarks.simt_mix import cases


def toolkit_missing() -> str | None:
    try:
        find_toolkit()
    except WarpsmithError as error:
        return str(error)
    return None


needs_nvrtc = pytest.mark.skipif(bool(toolkit_missing()), reason=toolkit_missing() or "")

PTX = """
.visible .entry k(
	.param .u64 .ptr .global .align 4 k_param_0,
	.param .u32 k_param_1,
	.param .f32 k_param_2,
	.param .align 2 .b8 k_param_3[2],
	.param .u8 k_param_4
)
.maxntid 256, 1, 1
{ ret; }
.entry none()
{ ret; }
"""


def test_parameters_are_read_from_ptx():
    found = ptx.kernels(PTX)
    assert [(one.type, one.size) for one in found["k"].parameters] == [
        ("u64", 8),
        ("u32", 4),
        ("f32", 4),
        ("b8", 2),
        ("u8", 1),
    ]
    assert found["k"].max_threads == 256
    assert found["none"] == ptx.Kernel("none", (), None)


@given(st.binary(max_size=200))
def test_a_damaged_cubin_is_a_value_error(data):
    for content in (data, b"\x7fELF\x02\x01" + data):
        with pytest.raises(ValueError, match="ELF"):
            cubin.symbols(content)


@pytest.mark.parametrize(
    "text",
    [
        '#include "/etc/passwd"',
        "#include </etc/passwd>",
        "%: include <iostream>",
        "# /* x */ include <vector>",
        "#inc\\\nlude <vector>",
        "#define H <vector>\n#include H",
        '#embed "/etc/passwd"',
        '#if __has_include("/etc/passwd")\n#endif',
        '#include_next "cuda_fp16.h"',
        "#include <../cuda_fp16.h>",
    ],
)
def test_other_files_are_not_included(text):
    refusal = rules.refuse(text + "\n")
    assert refusal is not None
    assert refusal.status is Status.REJECTED


@pytest.mark.parametrize(
    "text", ["#include <cuda_fp16.h>", '#include "stdint.h"', "// #include <vector>", '"#include <vector>"']
)
def test_device_headers_and_comments_pass(text):
    assert rules.refuse(text + "\n") is None


@given(st.text())
def test_the_include_check_never_raises(text):
    rules.refuse(text)


def typed(arguments, parameters, block=(1, 1, 1)):
    launch = PlannedLaunch(kernel="k", grid=(1, 1, 1), block=block, shared_bytes=0, arguments=arguments)
    kernel = ptx.Kernel("_Z1k", parameters, 64)
    return typed_launches(Plan(buffers=(), launches=(launch,)), {"x": 4096}, {"k": kernel})


POINTER, INT, LONG, SHORT, FLOAT = (
    Parameter("u64", 8), Parameter("u32", 4), Parameter("u64", 8), Parameter("u16", 2), Parameter("f32", 4),
)  # fmt: skip


def test_arguments_become_what_the_kernel_takes():
    (launch,) = typed((BufferArgument(buffer="x"), -1, 2**40, 3, 0.5), (POINTER, INT, LONG, FLOAT, FLOAT))
    assert launch["arguments"] == [
        ("buffer", 4096), ("value", 2**32 - 1), ("value", 2**40), ("value", 3.0), ("value", 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "parameters", "words"),
    [
        ((1,), (INT, INT), "1 arguments"),
        ((BufferArgument(buffer="x"),), (INT,), "no pointer"),
        ((BufferArgument(buffer="x"),), (Parameter("f64", 8),), "no pointer"),
        ((0.5,), (INT,), "integer"),
        ((2**32,), (INT,), "32 bits"),
        ((40000 * 2,), (SHORT,), "16 bits"),
        ((1,), (Parameter("b8", 2),), "struct"),
    ],
)
def test_arguments_that_do_not_fit_are_launch_errors(arguments, parameters, words):
    refusal = typed(arguments, parameters)
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.LAUNCH_ERROR
    assert words in refusal.reason


def test_more_threads_than_launch_bounds_are_a_launch_error():
    assert isinstance(typed((), (), (8, 8, 1)), list)
    refusal = typed((), (), (8, 8, 2))
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.LAUNCH_ERROR
    assert "128 threads" in refusal.reason


@pytest.fixture(scope="module")
def compiler():
    process = CompilerProcess(find_toolkit(), seconds=20)
    yield process
    process.close()


def inspected(compiler, source, architecture):
    compiled = compiler.compile(source, architecture, ["k"])
    if isinstance(compiled, Refusal):
        return compiled
    refusal = cubin.refuse(compiled, source)
    found = cubin.kernels(compiled)
    return refusal or (found if isinstance(found, Refusal) else None)


K = 'extern "C" __global__ void k(float* a) {'
TABLE = "__device__ float t[2] = {1, 2}; "


@needs_nvrtc
@pytest.mark.parametrize(
    "source",
    [
        "constexpr int N = 4; const int M = 3; " + K + "a[0] = N * M; }",
        "__constant__ float c[2] = {1, 2}; " + K + "a[0] = c[threadIdx.x]; }",
        "#include <stdint.h>\n#include <cmath>\n#include <cfloat>\n#include <climits>\n"
        + K
        + "uint32_t u = INT_MAX; a[0] = u + FLT_MAX + INFINITY; }",
        "#include <cooperative_groups.h>\n"
        + K
        + "cooperative_groups::this_thread_block().sync(); a[0] = 1; }",
        K + "__nanosleep(100); a[0] = 1; }",
        K + "a[0] = sinf(a[1]) + cosf(a[2]) + tanf(a[3]) + float(sin(double(a[4]))); }",
        "__device__ int never_used; " + K + "a[0] = 1; }",
        # Tables and strings that nothing changes.
        K + 'printf("%f", a[0]); }',
        "#include <assert.h>\n" + K + "assert(a[0] > 0); assert(a[1] < 1); }",
        K + "static const float t[4] = {1, 2, 3, 4}; a[0] = t[threadIdx.x]; }",
        "__device__ const float t[4] = {1, 2, 3, 4}; "
        + K
        + "for (int i = 0; i < 4; i++) a[i] += t[(i * 3) % 4]; }",
        "__device__ float t[2][2] = {{1, 2}, {3, 4}}; "
        + K
        + "const float* p = t[threadIdx.x]; a[0] = p[a[1] > 0]; }",
    ],
)
@pytest.mark.parametrize("architecture", ["sm_90a", "compute_90a"])
def test_harmless_sources_pass(compiler, source, architecture):
    assert inspected(compiler, source, architecture) is None


GROUPS = "#include <cooperative_groups.h>\nnamespace cg = cooperative_groups; "
WARP = "auto warp = cg::tiled_partition<32>(cg::this_thread_block()); "


@needs_nvrtc
@pytest.mark.parametrize(
    "source",
    [
        "#include <cooperative_groups/reduce.h>\n"
        + GROUPS + K + WARP + "a[0] = cg::reduce(warp, a[1], cg::plus<float>()); }",
        "#include <cooperative_groups/scan.h>\n"
        + GROUPS + K + WARP + "a[0] = cg::inclusive_scan(warp, a[threadIdx.x]); }",
        "#include <cooperative_groups/memcpy_async.h>\n"
        + GROUPS + K + "__shared__ float s[64]; auto block = cg::this_thread_block(); "
        "cg::memcpy_async(block, s, a, 256); cg::wait(block); a[0] = s[1]; }",
        GROUPS + K + "auto group = cg::labeled_partition(cg::coalesced_threads(), threadIdx.x % 3); "
        "a[0] = group.size(); cg::this_grid().sync(); }",
        # nvcc's cooperative_groups.h brings libcu++ along.
        GROUPS + K + "cuda::atomic_ref<float, cuda::thread_scope_device>(a[0]).fetch_add(1.0f); }",
        GROUPS + K + "static_assert(cuda::std::is_same<int, int>::value, \"\"); a[0] = 1; }",
        "#include <cub/block/block_reduce.cuh>\n"
        + GROUPS + K + "using Reduce = cub::BlockReduce<float, 128>; "
        "__shared__ Reduce::TempStorage s; a[0] = Reduce(s).Sum(a[threadIdx.x]); }",
    ],
)  # fmt: skip
def test_cooperative_groups_as_nvcc_takes_them(compiler, source):
    assert isinstance(compiler.compile(source, "sm_90a"), Compiled)


@needs_nvrtc
@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("__device__ int seen; " + K + "a[0] = seen++; }", Status.REJECTED, "seen"),
        ("__managed__ int seen; " + K + "a[0] = seen++; }", Status.REJECTED, "seen"),
        (K + "static __device__ int seen; a[0] = seen++; }", Status.REJECTED, "seen"),
        ("__device__ const int t = 2; " + K + "*(int*)&t = 1; a[0] = t; }", Status.REJECTED, "t outlives"),
        (K + 'asm volatile(".global .u32 s; st.global.u32 [s], 1;"); }', Status.REJECTED, "outlives"),
        (K + 'asm volatile("st.global.u32 [__cudart_i2opi_f], 1;"); a[0] = sinf(a[0]); }',
         Status.REJECTED, "outlives"),
        ('extern "C" __device__ unsigned __cudart_i2opi_f[6]; ' + K + "a[0] = ++__cudart_i2opi_f[0]; }",
         Status.REJECTED, "outlives"),
        # Tables and strings that something changes, or may change.
        *((source, Status.REJECTED, "outlives") for source in (
            TABLE + K + "float* p = t + threadIdx.x; *p = a[0]; }",
            TABLE + K + "atomicAdd(&t[1], 1); a[0] = t[1]; }",
            TABLE + K + "float* p = a[0] > 0 ? t : a; *p = 1; }",
            TABLE + K + "*(float**)a = t; }",
            TABLE + "__device__ float* q = t; " + K + "*q = 1; }",
            TABLE + "__device__ __noinline__ void f(float* p) { *p = 1; } " + K + "f(t); a[0] = t[0]; }",
            K + 'char* s = (char*)"ab"; a[0] = s[threadIdx.x]; s[threadIdx.x] = 1; }',
            K + 'const char* s = "ab"; printf("%s", s); }',
        )),
        (K + "int* p = new int; *p = 1; a[0] = *p; }", Status.REJECTED, "malloc"),
        (K + 'asm("discard.global.L2 [%0], 128;" :: "l"(a)); }', Status.REJECTED, "L2"),
        (K + "a[0] = clock64(); }", Status.REJECTED, "reads %clock64"),
        (K + "a[0] = clock(); }", Status.REJECTED, "reads %clock"),
        (K + 'asm("mov.u32 %0, %globaltimer_lo;" : "=r"(*(int*)a)); }', Status.REJECTED, "%globaltimer_lo"),
        ("__device__ void other() {}", Status.REJECTED, "does not define"),
        ("__device__ void k(float* a) { a[0] = 1; }", Status.REJECTED, "does not define"),
        ("__global__ void k(float*) {} __global__ void k(int*) {}", Status.REJECTED, "overloaded"),
        # Constant arrays of the host.
        *((source, Status.COMPILE_ERROR, "t is a host variable") for source in (
            "const float t[2] = {1, 2}; " + K + "a[0] = t[threadIdx.x]; }",
            "constexpr float t[2] = {1, 2}; " + K + "a[0] = t[threadIdx.x]; }",
            "namespace { static const float t[2] = {1, 2}; } " + K + "a[0] = t[threadIdx.x]; }",
            "struct S { static constexpr float t[2] = {1, 2}; }; " + K + "a[0] = S::t[threadIdx.x]; }",
            "__device__ int f(int t) { return 1; } const int t[2] = {1}; " + K + "a[0] = t[threadIdx.x]; }",
        )),
        (K + "a[0] = nothing; }", Status.COMPILE_ERROR, "nothing"),
        ('#include "/etc/passwd"\n' + K + "}", Status.COMPILE_ERROR, "cannot open"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("architecture", ["sm_90a", "compute_90a"])
def test_other_sources_are_refused_with_a_reason(compiler, source, status, words, architecture):
    refusal = inspected(compiler, source, architecture)
    assert refusal is not None
    assert refusal.status is status, refusal
    assert words in refusal.reason


@needs_nvrtc
@pytest.mark.parametrize(
    "source",
    [
        K + "__shared__ float s[60000]; s[threadIdx.x] = 1; a[0] = s[1]; }",
        "__constant__ float c[20000]; " + K + "a[0] = c[threadIdx.x]; }",
        "__device__ float f(float); " + K + "a[0] = f(a[1]); }",
    ],
)
def test_the_assembler_is_asked_where_it_alone_can_tell(compiler, source):
    compiled = compiler.compile(source, "compute_90a")
    assert isinstance(compiled, Compiled)
    assert cubin.needs_assembler(compiled.ptx)
    assert isinstance(compiler.compile(source, "sm_90a"), Refusal)


@needs_nvrtc
def test_a_compile_time_bomb_ends_and_the_next_source_compiles():
    bomb = "template<int N, int M> struct A { "
    bomb += "static const int v = A<N - 1, M>::v + A<N - 1, M + (1 << N)>::v; };"
    bomb += "template<int M> struct A<0, M> { static const int v = M; };" + K + "a[0] = A<28, 0>::v; }"
    process = CompilerProcess(find_toolkit(), seconds=2)
    try:
        assert isinstance(process.compile(bomb, "sm_90a"), Refusal)
        assert isinstance(process.compile(K + "a[0] = 1; }", "sm_90a"), Compiled)
    finally:
        process.close()


@needs_nvrtc
def test_a_process_compiles_the_whole_mix():
    process = CompilerProcess(find_toolkit(), seconds=20)
    try:
        for case in cases():
            compiled = process.compile(case.source, "sm_90a", case.kernels)
            assert isinstance(compiled, Compiled), (case.name, compiled)
            assert cubin.refuse(compiled, case.source) is None
            found = cubin.kernels(compiled)
            assert isinstance(found, dict)
            assert not cubin.needs_assembler(compiled.ptx)
            for launch in case.run.plan.launches:
                assert len(found[launch.kernel].parameters) == len(launch.arguments)
    finally:
        process.close()


@pytest.mark.parametrize(
    "text",
    [
        "#ifdef offsetof\nint x;\n#endif",
        "#if defined(__GNUC__)\n#endif",
        "struct S { float a; float rest[0]; };",
    ],
)
def test_what_compilers_take_differently_is_refused(text):
    refusal = rules.refuse(text)
    assert refusal is not None and refusal.status is Status.REJECTED


def test_conditions_may_ask_for_macros_of_the_source():
    assert (
        rules.refuse("#define TILE 32\n#if TILE > 16 && __CUDA_ARCH__ >= 900\nfloat rest[TILE];\n#endif")
        is None
    )


@needs_nvrtc
def test_what_one_backend_compiled_the_next_reads(tmp_path, monkeypatch):
    """As a pool's workers and its stopwatches do, which share a folder. No GPU is asked what it is."""
    settings = EvaluationSettings(backend=BackendName.CUDA)
    source = 'extern "C" __global__ void k(float* out) { out[0] = 1.0f; }'
    built = []
    for _ in range(2):
        backend = CudaBackend(settings, tmp_path)
        backend.__dict__["architecture"] = "sm_90a"
        built.append(backend.build(source, ["k"]))
        backend.close()
        monkeypatch.setattr(CompilerProcess, "compile", lambda *_: pytest.fail("compiled again"))
    assert built[0].cubin == built[1].cubin
    assert built[0].kernels == built[1].kernels
