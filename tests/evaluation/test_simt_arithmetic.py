"""Arithmetic as a GPU does it: what is defined there is right here, whatever x86 would make of it.

What is not (shifts by the width, conversions out of range) is a fault: see tests/hacks/simt.
"""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.backends.simt import SimtBackend
from tests.benchmarks.simt_mix import Launch, make_run
from tests.evaluation.simt_runs import HEAD, SETTINGS, outputs_of


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


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
    ],
)
def test_what_a_gpu_defines(backend, body, x, expected):
    assert values(backend, body, np.array([x]))[0] == np.float32(expected)
