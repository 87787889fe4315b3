"""The `simt` backend gives what NumPy gives, for the CUDA C++ that models write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.verdict import Status
from tests.benchmarks.simt_mix import Launch, bfloat16_to_float, cases, float_to_bfloat16, make_run
from tests.evaluation.simt_runs import HEAD, RNG, SETTINGS, elementwise, outputs_of, plain_run, refusal_of

KERNELS = Path(__file__).parent / "kernels"


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_the_benchmark_mix_matches_numpy(backend, case):
    assert case.error(outputs_of(backend, case.source, case.run)) <= case.tolerance


def test_register_blocked_matmul(backend):
    m, n, k = 100, 90, 70
    a, b = RNG.standard_normal((m, k), dtype=np.float32), RNG.standard_normal((k, n), dtype=np.float32)
    launch: Launch = ("gemm", (2, 2, 1), (256, 1, 1), 0, ["A", "B", "C", m, n, k])
    run = make_run([launch], {"A": a, "B": b}, {"C": ((m, n), "float32")})
    got = outputs_of(backend, (KERNELS / "gemm_regblock.cu").read_text(), run)["C"]
    np.testing.assert_allclose(got, a.astype(np.float64) @ b, rtol=1e-4, atol=1e-5)


def test_flash_attention(backend):
    heads, n, depth = 2, 100, 32
    q, k, v = RNG.standard_normal((3, heads, n, depth), dtype=np.float32)
    scores = np.einsum("hid,hjd->hij", q.astype(np.float64), k) * 0.17677669
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    launch: Launch = (
        "flash",
        (2, heads, 1),
        (64, 1, 1),
        2 * 32 * 32 * 4,
        ["Q", "K", "V", "O", n, 0.17677669],
    )
    run = make_run([launch], {"Q": q, "K": k, "V": v}, {"O": (q.shape, "float32")})
    got = outputs_of(backend, (KERNELS / "flash.cu").read_text(), run)["O"]
    np.testing.assert_allclose(got, weights / weights.sum(-1, keepdims=True) @ v, rtol=1e-4, atol=1e-5)


def test_scan_in_two_launches(backend):
    n = 5000
    x = RNG.integers(-5, 9, n, dtype=np.int32)
    launches: list[Launch] = [
        ("scan", (20, 1, 1), (256, 1, 1), 0, ["x", "y", "sums", n]),
        ("add_off", (20, 1, 1), (256, 1, 1), 0, ["y", "sums", n]),
    ]
    run = make_run(launches, {"x": x}, {"y": ((n,), "int32")}, {"sums": ((20,), "int32")})
    assert np.array_equal(outputs_of(backend, (KERNELS / "scan.cu").read_text(), run)["y"], np.cumsum(x))


def test_last_block_ticket(backend):
    x = RNG.standard_normal(50_000, dtype=np.float32)
    launches: list[Launch] = [
        ("clear", (1, 1, 1), (1, 1, 1), 0, ["ticket"]),
        ("var", (32, 1, 1), (256, 1, 1), 0, ["x", "part", "ticket", "out", x.size]),
    ]
    scratch = {"part": ((96,), "float32"), "ticket": ((1,), "int32")}
    run = make_run(launches, {"x": x}, {"out": ((1,), "float32")}, scratch)
    got = outputs_of(backend, (KERNELS / "welford_lastblock.cu").read_text(), run)["out"]
    np.testing.assert_allclose(got, [x.astype(np.float64).var() + 1e-5], rtol=1e-5)


FEATURES = {
    "curly initialisers": (
        "if (i < n) { float4 v{a[i], 1.f, 2.f, 3.f}; o[i] = v.x + v.w; }",
        lambda a: a + 3,
    ),
    "min and max": ("if (i < n) o[i] = max(a[i], 0.f) + min(a[i], 0.0f);", lambda a: a),
    "mixed float and double": (
        "if (i < n) o[i] = fmaxf(a[i], 0.f) * pow(a[i], 2.0);",
        lambda a: np.maximum(a, 0) * a**2,
    ),
    "fast maths": (
        "if (i < n) o[i] = 1.f / (1.f + __expf(-a[i]));",
        lambda a: 1 / (1 + np.exp(-a.astype("f8"))),
    ),
    "lambda": ("if (i < n) { auto f = [&](float x) { return x * 2; }; o[i] = f(a[i]); }", lambda a: 2 * a),
    "square roots": ("if (i < n) o[i] = sqrt(fabs(a[i])) + rsqrtf(4.f);", lambda a: np.sqrt(np.abs(a)) + 0.5),
    "std": ("if (i < n) o[i] = std::fmax(a[i], 0.f);", lambda a: np.maximum(a, 0)),
    "shuffles": (
        """float v = __shfl_xor_sync(~0u, i < n ? a[i] : 0.f, 1);
        v = __shfl_xor_sync(~0u, v, 1);
        if (i < n) o[i] = v;""",
        lambda a: a,
    ),
    "exponents": (
        "int e; if (i < n) { float m = frexpf(a[i], &e); o[i] = scalbnf(m, e) + ilogbf(8.f); }",
        lambda a: a + 3,
    ),
    "bytes": (
        "if (i < n) o[i] = __byte_perm(0x03020100, 0x07060504, 0x7531) == 0x07050301 ? __sad(2, -3, 4) : 0;",
        lambda a: 0 * a + 9,
    ),
    "ballot": (
        """unsigned lanes = __ballot_sync(~0u, threadIdx.x % 2 == 0);
        if (i < n) o[i] = __popc(lanes);""",
        lambda a: 0 * a + 16,
    ),
    "activemask": (
        "unsigned m = __activemask(); if (i < n) o[i] = m == 0xffffffffu ? a[i] : -1;",
        lambda a: a,
    ),
    "counting barrier": (
        "int c = __syncthreads_count(threadIdx.x < 5); if (i < n) o[i] = c;",
        lambda a: 0 * a + 5,
    ),
    "bit casts": (
        "if (i < n) o[i] = __float_as_int(a[i]) < 0 ? -1.f : 1.f;",
        lambda a: np.where(np.signbit(a), -1.0, 1),
    ),
    "grid stride": ("for (int j = i; j < n; j += gridDim.x * blockDim.x) o[j] = a[j] + 1;", lambda a: a + 1),
    "dynamic shared": (
        """extern __shared__ float s[];
        s[threadIdx.x] = i < n ? a[i] : 0;
        __syncthreads();
        if (i < n) o[i] = s[threadIdx.x];""",
        lambda a: a,
    ),
    "aligned dynamic shared": (
        """extern __shared__ __align__(16) unsigned char raw[];
        float* s = reinterpret_cast<float*>(raw);
        s[threadIdx.x] = i < n ? a[i] : 0;
        __syncthreads();
        if (i < n) o[i] = s[threadIdx.x];""",
        lambda a: a,
    ),
    "dynamic shared rows": (
        """extern __shared__ float s[][8];
        s[threadIdx.x / 8][threadIdx.x % 8] = i < n ? a[i] : 0;
        __syncthreads();
        if (i < n) o[i] = s[threadIdx.x / 8][threadIdx.x % 8];""",
        lambda a: a,
    ),
    "static constexpr": ("static constexpr float two = 2; if (i < n) o[i] = two * a[i];", lambda a: 2 * a),
    "union": (
        """if (i < n) {
            union { float f; unsigned u; } x;
            x.f = a[i];
            x.u &= 0x7fffffffu;
            o[i] = x.f;
        }""",
        np.abs,
    ),
    "clip": ("if (i < n) o[i] = fminf(fmaxf(a[i], -1.0), 1);", lambda a: np.clip(a, -1, 1)),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_language_features(backend, feature):
    body, expected = FEATURES[feature]
    a, o = elementwise(backend, body)
    np.testing.assert_allclose(o, expected(a), rtol=2e-6)


STAGED = "s[threadIdx.x] = i < n ? a[i] : 0.f; __syncthreads(); if (i < n) o[i] = s[threadIdx.x];"


@pytest.mark.parametrize(
    "declaration",
    [
        "__shared__ float s[128];",
        "static __shared__ float s[128];",
        "volatile __shared__ float s[/* a block */ 128];",
        "__shared__ __align__(16) float s[128];",
        "extern __shared__ float s[];",
        "__shared__ extern float s[];",
        "extern volatile __shared__ float s[ ];",
        "extern __shared__ alignas(16) float s[];",
        "extern __shared__ float rows[][32]; float* s = &rows[0][0];",
    ],
)
def test_shared_memory_is_declared_in_many_ways(backend, declaration):
    a, o = elementwise(backend, declaration + STAGED)
    np.testing.assert_array_equal(o, a)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("", "int half = n / 2, hlog = 0; if (i < n) o[i] = half + hlog;"),
        ("#ifndef FLT_MAX\n#define FLT_MAX 150.0f\n#endif\n", "if (i < n) o[i] = FLT_MAX;"),
        ("#define CUDART_INF_F 150.0f\n", "if (i < n) o[i] = CUDART_INF_F;"),
        ("typedef unsigned int uint32_t;\n", "uint32_t u = 150; if (i < n) o[i] = u;"),
        ("/* first */ #include <math.h>\n", "if (i < n) o[i] = fmaxf(150.f, 0.f);"),
        ("", 'const char* text = "half"; if (i < n) o[i] = text ? 150 : 0;'),
    ],
)
def test_a_source_may_define_names_that_headers_have(backend, head, body):
    _, o = elementwise(backend, body, n=300, head=head)
    assert (o == 150).all() or head.startswith("#ifndef")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("half h = a[0];", "half"),
        ("float m = FLT_MAX;", "FLT_MAX"),
        ("uint32_t u = 1;", "uint32_t"),
        ("float f = CUDART_INF_F;", "CUDART_INF_F"),
    ],
)
def test_a_header_that_a_gpu_would_need_is_named(backend, text, name):
    refusal = refusal_of(backend, HEAD + text + "}", plain_run(4))
    assert refusal.status is Status.COMPILE_ERROR
    assert refusal.reason.startswith(f"{name} is not declared without #include <")


def test_an_error_within_the_shim_names_the_line_of_the_source(backend):
    refusal = refusal_of(backend, HEAD + "\natomicAdd((float4*)o, make_float4(1, 1, 1, 1)); }", plain_run(4))
    assert refusal.status is Status.COMPILE_ERROR
    assert "/" not in refusal.reason.split(":")[0] and "warpsmith" not in refusal.reason
    assert refusal.reason.startswith("line 4: ")


def test_an_error_that_only_speaks_of_frames_is_an_error(backend):
    refusal = refusal_of(backend, "#error frame size of the world\n" + HEAD + "}", plain_run(4))
    assert refusal.status is Status.COMPILE_ERROR


def test_float_atomics_and_device_helpers(backend):
    head = """
        __device__ float square(float x) { return x * x; }
        __host__ __device__ inline float half_of(float x) { return x / 2; }
        template <typename T, int K> __device__ __forceinline__ T times(T x) { return K * x; }
        __constant__ float SCALE[2] = {1.f, 3.f};
    """
    body = """
        if (i < n) o[i] = 0;
        if (i < n) atomicAdd(&o[i], half_of(times<float, 4>(square(a[i])) * SCALE[1]));
    """
    a, o = elementwise(backend, body, head=head)
    np.testing.assert_allclose(o, 6 * a * a, rtol=1e-6)


def test_cooperative_groups(backend):
    head = """
        #include <cooperative_groups.h>
        #include <cooperative_groups/reduce.h>
        namespace cg = cooperative_groups;
    """
    body = """
        auto block = cg::this_thread_block();
        auto tile = cg::tiled_partition<16>(block);
        float v = cg::reduce(tile, i < n ? a[i] : 0.f, cg::plus<float>());
        block.sync();
        if (i < n && tile.thread_rank() == 0) for (int j = 0; j < 16; j++) o[i + j] = v;
    """
    a, o = elementwise(backend, body, n=256, head=head)
    np.testing.assert_allclose(o, np.repeat(a.reshape(-1, 16).sum(1), 16), rtol=1e-4, atol=1e-5)


def test_half_conversion_rounds_as_numpy(backend):
    values = np.concatenate(
        [RNG.standard_normal(200), 10.0 ** RNG.uniform(-9, 6, 200), [0, 65504, 65520, 1e-8, np.inf]]
    )
    a = values.astype(np.float32)
    source = """
        #include <cuda_fp16.h>
        extern "C" __global__ void k(__half* o, const float* a, int n) {
            int i = threadIdx.x;
            if (i < n) o[i] = __float2half(a[i]);
        }
    """
    launch: Launch = ("k", (1, 1, 1), (512, 1, 1), 0, ["o", "a", a.size])
    got = outputs_of(backend, source, make_run([launch], {"a": a}, {"o": (a.shape, "float16")}))["o"]
    with np.errstate(over="ignore"):
        assert np.array_equal(got.view(np.uint16), a.astype(np.float16).view(np.uint16))


def test_half_reads_as_numpy(backend):
    patterns = np.arange(0, 65536, 7, dtype=np.uint16)
    a = patterns.view(np.float16)
    source = """
        #include <cuda_fp16.h>
        extern "C" __global__ void k(float* o, const __half* a, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) o[i] = __half2float(a[i]);
        }
    """
    launch: Launch = ("k", (10, 1, 1), (1024, 1, 1), 0, ["o", "a", a.size])
    got = outputs_of(backend, source, make_run([launch], {"a": a}, {"o": (a.shape, "float32")}))["o"]
    np.testing.assert_array_equal(got, a.astype(np.float32))


def test_bfloat16_arithmetic(backend):
    a = float_to_bfloat16(RNG.standard_normal(64))
    source = """
        #include <cuda_bf16.h>
        extern "C" __global__ void k(__nv_bfloat16* o, const __nv_bfloat16* a, int n) {
            int i = threadIdx.x;
            if (i < n) o[i] = a[i] * __float2bfloat16(2.f);
        }
    """
    launch: Launch = ("k", (1, 1, 1), (64, 1, 1), 0, ["o", "a", 64])
    got = outputs_of(backend, source, make_run([launch], {"a": a}, {"o": ((64,), "bfloat16")}))["o"]
    assert np.array_equal(bfloat16_to_float(got), 2 * bfloat16_to_float(a))


def test_arguments_take_the_kernels_types(backend):
    source = """
        extern "C" __global__ void k(double* o, long long l, unsigned char c, bool b, double d,
                                     float f, int i) {
            o[0] = l, o[1] = c, o[2] = b, o[3] = d, o[4] = f, o[5] = i;
        }
    """
    launch: Launch = ("k", (1, 1, 1), (1, 1, 1), 0, ["o", 2**40, 200, 1, 0.1, 3, -7])
    got = outputs_of(backend, source, make_run([launch], {}, {"o": ((6,), "float64")}))["o"]
    assert got.tolist() == [2.0**40, 200, 1, 0.1, 3, -7]
