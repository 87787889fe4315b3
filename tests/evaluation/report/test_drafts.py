"""Drafts become judged samples: at both sets of sizes, and timed where the backend times."""

from __future__ import annotations

import pytest

from evaluation.pool import Request
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.report.drafts import Draft, judge_drafts, machine_of, open_pool
from evaluation.report.summary import Contender
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.samples import REWARD
from tests.evaluation.cuda_kernels import needs_gpu

GPU_MARK, SKIP = needs_gpu
CUDA = EvaluationSettings(backend=BackendName.CUDA, workers=1)
GOOD = """```cuda
// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] * 2.f;
}
```"""
BAD = GOOD.replace("2.f", "3.f")
PROGRAM = """
import torch
n = {n}
def get_inputs():
    return [torch.randn(n)]
def fused_operator(x):
    return x * 2
"""


def instance(n: int) -> Instance:
    x, out = (Tensor(name=name, shape=(n,), dtype="float32") for name in ("x", "out"))
    return Instance(program=PROGRAM.format(n=n), sizes={"n": n}, inputs=(x,), outputs=(out,))


def large() -> Problem:
    """Twice `x`: small to check, large to time."""
    shipped = instance(1 << 24)
    return Problem(
        id="double", source="test", level=1, split=Split.HELDOUT, dialect=Dialect.FUNCTION,
        operators=("mul",), shipped=shipped, checks=(instance(1000), instance(77)),
        tolerance=1e-4, flops=1 << 24, bytes=1 << 27,
    )  # fmt: skip


def test_every_draft_becomes_a_sample(double, simt, one_reference):
    said = []
    drafts = [Draft(Contender.START, double, 0, BAD), Draft(Contender.TRAINED, double, 0, GOOD)]
    samples = judge_drafts(
        drafts, EvaluationSettings(workers=1), seed=1, progress=lambda sizes: lambda *_: said.append(sizes)
    )
    assert [(s.contender, s.checks.correct, s.aligned.correct) for s in samples] == [
        (Contender.START, False, False),
        (Contender.TRAINED, True, True),
    ]
    assert {sample.roofline for sample in samples} == {None}
    assert set(said) == {"checks", "aligned"}
    assert machine_of(EvaluationSettings()) is None


@GPU_MARK
@SKIP
def test_what_is_correct_is_timed_on_a_gpu():
    drafts = [Draft(Contender.TRAINED, large(), index, text) for index, text in enumerate((GOOD, BAD))]
    good, bad = judge_drafts(drafts, CUDA, seed=1)
    assert good.speedup is not None and good.speedup > 0.1
    assert good.roofline is not None and 0.1 < good.roofline <= 1.02
    assert (bad.speedup, bad.roofline) == (None, None)
    assert machine_of(CUDA) is not None


@GPU_MARK
@SKIP
@pytest.mark.parametrize("timing", [REWARD, None])
def test_a_reward_is_timed_on_demand(timing):
    with open_pool(CUDA, timing) as pool:
        (verdict,) = pool.evaluate([Request(large(), GOOD)], seed=1)
    assert verdict.correct, verdict
    assert (verdict.measurements.speedup is not None) is (timing is REWARD)
