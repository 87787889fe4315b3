"""Runs of small kernels on the `simt` backend, for its tests."""

from __future__ import annotations

import numpy as np

from evaluation.backends.base import Run, RunOutcome
from evaluation.backends.simt.backend import SimtBackend
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal
from tests.benchmarks.simt_mix import Launch, make_run

#: Without a compiler for GPUs beside it, whatever this machine has installed.
SETTINGS = EvaluationSettings(require_sm90=False)
HEAD = """extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
"""
RNG = np.random.default_rng(1)


def outputs_of(backend: SimtBackend, source: str, run: Run) -> dict[str, np.ndarray]:
    kernels = tuple(dict.fromkeys(launch.kernel for launch in run.plan.launches))
    built = backend.build(source, kernels)
    assert not isinstance(built, Refusal), built.reason
    outcome = backend.run(built, [run])
    assert isinstance(outcome, RunOutcome), outcome.reason
    return outcome.outputs[0]


def refusal_of(backend: SimtBackend, source: str, run: Run) -> Refusal:
    built = backend.build(source, [run.plan.launches[0].kernel])
    outcome = built if isinstance(built, Refusal) else backend.run(built, [run])
    assert isinstance(outcome, Refusal)
    return outcome


def plain_run(n: int, grid: int = 1, block: int = 1) -> Run:
    """A run of `k(o, a, n)` on `n` ones."""
    launch: Launch = ("k", (grid, 1, 1), (block, 1, 1), 0, ["o", "a", n])
    return make_run([launch], {"a": np.ones(n, np.float32)}, {"o": ((n,), "float32")})


def elementwise(
    backend: SimtBackend, body: str, n: int = 300, head: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Run `body` (with i, n, o, a in scope) over `n` values in blocks of 128; returns input and output."""
    a = RNG.standard_normal(n, dtype=np.float32)
    launch: Launch = ("k", (-(-n // 128), 1, 1), (128, 1, 1), 1024, ["o", "a", n])
    run = make_run([launch], {"a": a}, {"o": ((n,), "float32")})
    return a, outputs_of(backend, head + HEAD + body + "}", run)["o"]
