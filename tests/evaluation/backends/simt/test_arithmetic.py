"""Arithmetic as a GPU does it: what is defined there is right here, whatever x86 would make of it.

What is not (shifts by the width, conversions out of range) is a fault: see tests/hacks/simt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.toolchain import find_compiler
from tests.benchmarks.simt_mix import Launch, make_run
from tests.evaluation.simt_runs import HEAD, SETTINGS, outputs_of


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


needs_fma = pytest.mark.skipif(
    "fma" not in Path("/proc/cpuinfo").read_text().split() or "clang" in find_compiler().version,
    reason="needs g++ and a processor with FMA",
)


def values(backend: SimtBackend, body: str, x: np.ndarray, head: str = "") -> np.ndarray:
    """What `body` leaves in `r` for every `a[i]` of `x`."""
    launch: Launch = ("k", (-(-x.size // 128), 1, 1), (128, 1, 1), 0, ["o", "a", x.size])
    run = make_run([launch], {"a": x.astype(np.float32)}, {"o": ((x.size,), "float32")})
    source = f"{head}{HEAD}if (i >= n) return; float r; {body} o[i] = r; }}"
    return outputs_of(backend, source, run)["o"]


@pytest.mark.parametrize(
    ("body", "x", "expected"),
    [
        ("unsigned h = 1u + (unsigned)i; h ^= h << 13; h ^= h >> 17; h ^= h << 5; r = h;", 1, 270369),
        ("int s = -3; r = (float)(s << 4) + (float)(s >> 1);", 1, -50),
        ("r = (float)(1 << 31);", 1, -(2.0**31)),
        ("r = (float)((1ull << (39 + n)) >> 38);", 1, 4),
        ("int h = 1; for (int j = 0; j < 4; j++) h = h * 1103515245 + 12345; r = h;", 1, -999580867),
        ("r = (int)a[i];", -2147483648.0, -2147483648.0),
        ("r = (float)(unsigned char)a[i];", 255.9, 255),
        ("r = (float)(signed char)a[i];", -128.9, -128),
        ("r = (float)(unsigned)a[i];", -0.9, 0),
        ("r = (float)(unsigned char)(int)a[i];", 300, 44),
        ("r = (float)__float2int_rz(a[i]);", 1e30, 2147483648.0),
        ("r = (float)__float2uint_rn(a[i]);", -1e30, 0),
        ("r = (float)__float2int_rn(sqrtf(a[i]));", -1, 0),
        ("bool b = a[i]; r = b;", np.nan, 1),
        ("r = (float)(1e300 * a[i]);", 1, np.inf),
        ("r = (float)(sizeof(long double) * (long double)a[i]);", 0.5, 4),
        ('r = printf("%f %d", a[i], n) + printf("x") + printf("%d", 1);', 1, 3),
    ],
)
def test_what_a_gpu_defines(backend, body, x, expected):
    assert values(backend, body, np.array([x]))[0] == np.float32(expected)


FAST = {
    # function of x: (in NumPy, the largest error that CUDA's guide gives, as a function of x and the value)
    "__expf(x)": (np.exp, lambda x, y: abs(y) * 2.0**-23 * (2 + np.floor(abs(1.173 * x)))),
    "__exp10f(x / 8)": (
        lambda x: 10 ** (x / 8),
        lambda x, y: abs(y) * 2.0**-23 * (2 + np.floor(abs(0.37 * x))),
    ),
    "__logf(fabsf(x))": (lambda x: np.log(abs(x)), lambda x, y: _log_error(x, y, 2.0**-21.41)),
    "__log2f(fabsf(x))": (lambda x: np.log2(abs(x)), lambda x, y: _log_error(x, y, 2.0**-22)),
    "__log10f(fabsf(x))": (lambda x: np.log10(abs(x)), lambda x, y: _log_error(x, y, 2.0**-24)),
    "__sinf(x)": (np.sin, lambda x, y: 2.0**-21.41 + abs(x) * 2.0**-23),
    "__cosf(x)": (np.cos, lambda x, y: 2.0**-21.19 + abs(x) * 2.0**-23),
    "__tanhf(x)": (np.tanh, lambda x, y: abs(y) * 2.0**-11),
    "__fdividef(1, x)": (lambda x: 1 / x, lambda x, y: abs(y) * 2.0**-22),
    "__powf(fabsf(x), 1.5f)": (
        lambda x: abs(x) ** 1.5,
        lambda x, y: abs(y) * 2.0**-21 * (1 + abs(np.log2(abs(x)))),
    ),
}


def _log_error(x, y, near_one):
    return np.where((abs(x) >= 0.5) & (abs(x) <= 2), near_one + abs(y) * 2.0**-24, abs(y) * 2.0**-21.4)


@pytest.mark.parametrize("call", FAST)
def test_fast_functions_err_as_much_as_they_may_and_no_more(backend, call):
    exact, allowed = FAST[call]
    x = np.random.default_rng(0).uniform(-20, 20, 2000).astype(np.float32).astype(np.float64)
    x = np.concatenate([x, 1 + np.linspace(-0.5, 1, 200, dtype=np.float32)])
    error = abs(values(backend, f"const float x = a[i]; r = {call};", x) - exact(x))
    share = error / allowed(x, exact(x))
    assert share.max() <= 1
    assert share.max() > 0.3


@pytest.mark.parametrize(
    ("call", "x", "expected"),
    [
        ("__fdividef(1, x)", 1e38, 0),
        ("__fdividef(1, x)", np.inf, 0),
        ("__fdividef(1, x)", 0, np.inf),
        ("__expf(x)", 89, np.inf),
        ("__expf(-x)", np.inf, 0),
        ("__logf(x)", 0, -np.inf),
        ("__powf(x, 2)", 0, 0),
        ("__powf(x, 2)", -3, np.nan),
        ("__sinf(x)", np.inf, np.nan),
    ],
)
def test_fast_functions_at_their_ends(backend, call, x, expected):
    found = values(backend, f"const float x = a[i]; r = {call};", np.array([x]))
    np.testing.assert_array_equal(found, np.array([expected], np.float32))


def test_a_fast_sine_far_out_is_no_sine(backend):
    x = np.linspace(9000, 10000, 500, dtype=np.float32)
    assert abs(values(backend, "r = __sinf(a[i]);", x) - np.sin(x.astype(np.float64))).max() > 1e-4


X = 1 + 2.0**-23
REST = X * X - float(np.float32(X * X))


@needs_fma
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("r = x * x - p;", REST),
        ("r = p - x * x;", -REST),
        ("r = x * x + -p;", REST),
        ("r = -p + x * a[i];", REST),
        ("r = a[i]; r = r * x - p;", REST),
        ("r = -p; r += x * x;", REST),
        ("r = p; r -= x * a[i];", -REST),
        ("double y = 1 + 0x1p-52, q = y * y; r = (float)(y * y - q);", 2.0**-104),
        ("double y = 1 + 0x1p-52, q = y * y; r = (float)(q - y * y);", -(2.0**-104)),
        ("r = x * x; r = r - p;", REST),
        ("r = x * x; float s = -p; r = s + r;", REST),
        ("r = x * x; r = p; r = r - p;", 0),
        ("float s[2]; s[0] = x * x; r = 1; s[0] = p; r = s[0] - p;", 0),
        # As with nvcc, what is rounded by name is rounded.
        ("r = __fsub_rn(__fmul_rn(x, x), p);", 0),
        ("r = x * x * x - p * x;", None),
        ("r = (x + 1) * (x - 1) + 0.0f;", (X + 1) * (X - 1)),
        ("r = x * x / p - 1;", 0),
    ],
)
def test_products_and_sums_are_contracted(backend, body, expected):
    found = values(backend, f"const float x = a[i], p = x * x; {body}", np.array([X]))[0]
    if expected is not None:
        assert found == np.float32(expected)
    assert abs(found) < 1


@needs_fma
def test_contraction_loses_no_register(backend):
    """Many products at once, against double: each is used several times, in every order."""
    body = """
        float x[8], y[8]; r = 0;
        for (int j = 0; j < 8; j++) { x[j] = a[i] + j; y[j] = a[i] * j - 3; }
        for (int j = 0; j < 8; j++) {
            float u = x[j] * y[7 - j] + y[j], v = y[j] - x[j] * y[j], w = x[j] * x[j] + y[j] * y[j];
            r += u * v - w * (x[j] * y[j] + u) + (u > v ? u * v : v - u * w) / (1 + fabsf(w * v));
            r = r - u * (v - w) * x[j] + v * y[j];
        }
    """
    a = np.random.default_rng(5).uniform(-2, 2, 500).astype(np.float32)
    exact = np.zeros(a.size)
    x = [a.astype(np.float64) + j for j in range(8)]
    y = [a.astype(np.float64) * j - 3 for j in range(8)]
    scale = np.ones(a.size)
    for j in range(8):
        u, v, w = x[j] * y[7 - j] + y[j], y[j] - x[j] * y[j], x[j] ** 2 + y[j] ** 2
        exact += u * v - w * (x[j] * y[j] + u) + np.where(u > v, u * v, v - u * w) / (1 + abs(w * v))
        exact += -u * (v - w) * x[j] + v * y[j]
        scale += abs(u * v) + abs(w * u) + abs(u * w * x[j])
    assert (abs(values(backend, body, a) - exact) <= 1e-5 * scale).all()
