"""The cuda backend on a real GPU: what is right passes, what is wrong gets its own status, and life goes on."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from evaluation.backends.base import Run
from evaluation.backends.cuda import CudaBackend
from evaluation.plan import Plan
from evaluation.problem import Instance, Tensor
from evaluation.settings import BackendName, EvaluationSettings
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
    outcome = backend.run(
        backend.build(source, ["first", "second"]), [Run(plan=planned(source, at), inputs={"x": values})]
    )
    np.testing.assert_allclose(
        outcome.outputs[0]["out"], [values.sum(dtype=np.float64)], rtol=1e-3, atol=1e-3
    )


BAD = {
    "does not compile": (body("out[i] = z;"), Status.COMPILE_ERROR, "undefined"),
    "writes an input": (body("((float*)x)[0] = 1; if (i < n) out[i] = 0;"), Status.FAULT, "input x"),
    "writes past the end": (body("out[i] = 1;"), Status.FAULT, "past the end of out"),
    "writes before the start": (body("if (i < n) out[i] = 0; if (i == 0) out[-1] = 1;"), Status.FAULT, "before out"),
    "illegal address": (body("if (i < n) out[i] = *(const float*)16;"), Status.FAULT, "illegal"),
    "far address": (body("out[(1ull << 40) + i] = 1;"), Status.FAULT, "illegal"),
    "misaligned": (body("if (i == 0) *(double*)(out + 1) = 1;"), Status.FAULT, "misaligned"),
    "trap": (body("__trap();"), Status.FAULT, ""),
    "hangs": (body("while (*(volatile const float*)x == *(volatile const float*)x); if (i < n) out[i] = 1;"), Status.TIMEOUT, "1 s"),
    "leaves a hole": (body("if (i < n - 1) out[i] = 1;"), Status.WRONG, "never written"),
    "copies what lies beyond": (body("if (i < n) out[i] = x[i + 1];"), Status.WRONG, "unwritten memory"),
    "computes with what lies beyond": (
        body("if (i < n) out[i] = x[i + 1] * 2;"),
        Status.NONDETERMINISTIC,
        "differs",
    ),
    "reads its output": (body("if (i < n) out[i] = fmaxf(out[i], 0.f);"), Status.NONDETERMINISTIC, "differs"),
    "races": (
        body("__shared__ unsigned winner; for (int r = 0; r < 50; r++) winner = (clock() ^ threadIdx.x) & 1023; if (i < n) out[i] = winner;"),
        Status.NONDETERMINISTIC,
        "differs",
    ),
    "keeps state": (body("if (i < n) out[i] = seen++;", "__device__ int seen;\n"), Status.REJECTED, "seen"),
    "allocates": (body("float* p = (float*)malloc(4); if (p) *p = 1; if (i < n) out[i] = p ? *p : 0;"), Status.REJECTED, "malloc"),
    "pins L2": (
        body('unsigned long long p; asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(p)); if (i < n) out[i] = p;'),
        Status.REJECTED,
        "L2",
    ),
    "includes a file": (body("if (i < n) out[i] = 1;", '#include "/etc/passwd"\n'), Status.REJECTED, "include"),
    "wrong argument count": (
        '// launch k<<<1, 32>>>(x, out)\nextern "C" __global__ void k(const float* x, float* out, int n) {}',
        Status.LAUNCH_ERROR,
        "2 arguments",
    ),
    "buffer for a number": (
        '// launch k<<<1, 32>>>(x, out)\nextern "C" __global__ void k(const float* x, int n) {}',
        Status.LAUNCH_ERROR,
        "no pointer",
    ),
    "too many threads": (
        '// launch k<<<1, 1024>>>(x, out)\nextern "C" __global__ void __launch_bounds__(128) k(const float* x, float* out) {}',
        Status.LAUNCH_ERROR,
        "128 threads",
    ),
    "too much shared memory": (
        '// launch k<<<1, 32, 232000>>>(x, out)\nextern "C" __global__ void k(const float* x, float* out) { __shared__ float s[4000]; s[threadIdx.x] = x[0]; out[0] = s[1]; }',
        Status.LAUNCH_ERROR,
        "shared memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_gets_its_status_and_the_next_is_judged(backend, name):
    source, status, words = BAD[name]
    outcome = judged(backend, source)
    assert isinstance(outcome, Refusal), outcome
    assert outcome.status is status, outcome
    assert words in outcome.reason
    assert not isinstance(judged(backend, ADD, "add"), Refusal)


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
    assert isinstance(planned(ADD, runs(ADD)[0].plan and _at(10)), Plan)
    backend.build(ADD, ["add"])
    monkeypatch.setattr(backend._compiler, "compile", lambda *_: pytest.fail("compiled again"))
    assert not isinstance(backend.build(ADD, ["add"]), Refusal)


def _at(n):
    from tests.evaluation.cuda_kernels import instance

    return instance(n)


def test_state_in_constant_memory_cannot_be_kept(backend):
    """`__constant__` is allowed: a store through its address must not reach the next launch."""
    source = body(
        "if (i == 0) *(volatile int*)&hidden = hidden + 1; if (i < n) out[i] = hidden;",
        "__constant__ int hidden = 5;\n",
    )
    outcome = judged(backend, source)
    print("constant store:", outcome)
    if not isinstance(outcome, Refusal):
        assert all((outputs["out"] == 5).all() for outputs in outcome.outputs)
