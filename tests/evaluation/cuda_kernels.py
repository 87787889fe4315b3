"""Sources and plans that the tests of the cuda backend share."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from evaluation.backends.base import Run
from evaluation.candidate import parse_source
from evaluation.plan import Plan, plan
from evaluation.problem import Instance, Tensor


def missing() -> str | None:
    """Why the cuda backend cannot run here, if so."""
    if find_spec("pycuda") is None:
        return "PyCUDA is not installed"
    import ctypes

    try:
        return None if ctypes.CDLL("libcuda.so.1").cuInit(0) == 0 else "no NVIDIA GPU"
    except OSError:
        return "no NVIDIA driver"


needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(bool(missing()), reason=missing() or "")]

ADD = """
// launch add<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void add(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
"""
HEAD = """
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
"""


def body(text: str, before: str = "") -> str:
    """A kernel `k(x, y, out, n)` around some statements."""
    return before + HEAD + text + "\n}\n"


def instance(n: int) -> Instance:
    """Two vectors in, one out."""
    x, y, out = (Tensor(name=name, shape=(n,), dtype="float32") for name in ("x", "y", "out"))
    return Instance(program="", sizes={"n": n}, inputs=(x, y), outputs=(out,))


def planned(source: str, at: Instance) -> Plan:
    """The plan of a source that is known to parse."""
    candidate = parse_source(source)
    found = plan(candidate, at)  # type: ignore[arg-type]
    assert isinstance(found, Plan), found
    return found


def runs(source: str, sizes: tuple[int, ...] = (1000, 33)) -> list[Run]:
    """Runs of a vector kernel with random inputs."""
    rng = np.random.default_rng(0)
    found = []
    for n in sizes:
        inputs = {name: rng.standard_normal(n).astype(np.float32) for name in ("x", "y")}
        found.append(Run(plan=planned(source, instance(n)), inputs=inputs))
    return found
