"""The cuda backend on a real GPU: what is wrong gets its own status, and life goes on."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation.backends.base import Run
from evaluation.backends.cuda.backend import CudaBackend
from evaluation.problem import Instance, Tensor
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.selftest import expected_statuses, verdict_on
from evaluation.verdict import Refusal, Status
from tests.evaluation.cuda_kernels import ADD, body, needs_gpu, planned, runs

pytestmark = needs_gpu


@pytest.fixture(scope="module")
def backend():
    settings = EvaluationSettings(backend=BackendName.CUDA, time_limit_s=1.0)
    backend = CudaBackend(settings, debug=True)
    yield backend
    backend.close()


def judged(backend, source, kernel="k", sizes=(1000, 33)):
    built = backend.build(source, [kernel])
    return built if isinstance(built, Refusal) else backend.run(built, runs(source, sizes))


def test_a_correct_kernel_gives_its_outputs(backend):
    outcome = judged(backend, ADD, "add", (1, 33, 1000, 100_003))
    assert not isinstance(outcome, Refusal), outcome
    for run, outputs in zip(runs(ADD, (1, 33, 1000, 100_003)), outcome.outputs, strict=True):
        np.testing.assert_array_equal(outputs["out"], run.inputs["x"] + run.inputs["y"])


def test_integer_float_and_long_arguments_take_the_kernels_types(backend):
    source = """
// launch k<<<1, 32>>>(x, out, n, n, 0.5, 3, -1)
extern "C" __global__ void k(const float* x, float* out, int n, long long m, float a, float b, short c) {
    if (threadIdx.x < n) out[threadIdx.x] = x[threadIdx.x] * a + b + m + c;
}"""
    tensors = [Tensor(name=name, shape=(20,), dtype="float32") for name in ("x", "out")]
    at = Instance(program="", sizes={"n": 20}, inputs=(tensors[0],), outputs=(tensors[1],))
    x = np.arange(20, dtype=np.float32)
    outcome = backend.run(backend.build(source, ["k"]), [Run(plan=planned(source, at), inputs={"x": x})])
    np.testing.assert_array_equal(outcome.outputs[0]["out"], x * 0.5 + 3 + 20 - 1)


def test_scratch_and_several_launches_and_large_shared_memory(backend):
    source = """
// scratch partial float32[64]
// launch first<<<64, 256, 100000>>>(x, partial, n)
// launch second<<<1, 64>>>(partial, out)
extern "C" __global__ void first(const float* x, float* partial, int n) {
    extern __shared__ float s[];
    float sum = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += 64 * 256) sum += x[i];
    s[24000 + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) { for (int i = 1; i < 256; i++) sum += s[24000 + i]; partial[blockIdx.x] = sum; }
}
extern "C" __global__ void second(const float* partial, float* out) {
    if (threadIdx.x == 0) { float sum = 0; for (int i = 0; i < 64; i++) sum += partial[i]; out[0] = sum; }
}"""
    x = Tensor(name="x", shape=(9999,), dtype="float32")
    at = Instance(
        program="", sizes={"n": 9999}, inputs=(x,), outputs=(Tensor(name="out", shape=(1,), dtype="float32"),)
    )
    values = np.random.default_rng(1).standard_normal(9999).astype(np.float32)
    built = backend.build(source, ["first", "second"])
    outcome = backend.run(built, [Run(plan=planned(source, at), inputs={"x": values})])
    np.testing.assert_allclose(
        outcome.outputs[0]["out"], [values.sum(dtype=np.float64)], rtol=1e-3, atol=1e-3
    )


HACKS = sorted((Path(__file__).parents[3] / "hacks" / "cuda").glob("*.cu"))


@pytest.mark.parametrize("path", HACKS, ids=lambda path: path.stem)
def test_what_is_wrong_gets_its_status_and_the_next_is_judged(backend, path):
    source = path.read_text()
    verdict = verdict_on(backend, source)
    assert verdict.status in expected_statuses(source), verdict
    words = re.search(r"^// reason: (.+)$", source, re.MULTILINE)
    assert words is None or words[1] in verdict.reason
    assert not isinstance(judged(backend, ADD, "add"), Refusal)


def test_a_correct_kernel_is_no_hack(backend):
    assert verdict_on(backend, ADD).status is Status.CORRECT


def test_atomics_in_any_order_are_no_race(backend):
    source = body("if (i < n) atomicAdd(out, x[i]); if (i > 0 && i < n) out[i] = 0;", "")
    source = source.replace("// launch k", "// launch clear<<<1, 1>>>(out)\n// launch k")
    source += 'extern "C" __global__ void clear(float* out) { out[0] = 0; }'
    built = backend.build(source, ["clear", "k"])
    assert not isinstance(backend.run(built, runs(source, (100_000,))), Refusal)


def test_a_worker_that_dies_between_requests_is_replaced(backend):
    assert not isinstance(judged(backend, ADD, "add"), Refusal)
    os.kill(backend._worker.pid, signal.SIGKILL)
    time.sleep(0.3)
    outcome = judged(backend, ADD, "add")
    assert not isinstance(outcome, Refusal) or outcome.status is Status.FAULT
    assert not isinstance(judged(backend, ADD, "add"), Refusal)


def test_a_cubin_is_found_again(backend, monkeypatch):
    backend.build(ADD, ["add"])
    monkeypatch.setattr(backend._compiler, "compile", lambda *_: pytest.fail("compiled again"))
    assert not isinstance(backend.build(ADD, ["add"]), Refusal)
