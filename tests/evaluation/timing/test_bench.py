"""Timing on a real GPU."""

from __future__ import annotations

import pytest

from evaluation.backends.cuda.backend import CudaBackend
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.roofline import Peaks
from evaluation.timing.samples import Baseline, Timing, TimingSettings
from evaluation.timing.selftest import COPY_KERNEL, copy_problem
from evaluation.timing.timer import Timer, TimingError
from evaluation.verdict import Refusal, Status
from tests.evaluation.cuda_kernels import needs_gpu, planned

pytestmark = needs_gpu

N = 1 << 22
MODEL = f"""
import torch
import torch.nn as nn
n = {N}
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
    def forward(self, x, y):
        return torch.relu(x * self.weight + y)
def get_inputs():
    return [torch.randn(n), torch.randn(n)]
def get_init_inputs():
    return []
"""
KERNEL = """
// launch k<<<ceil_div(n, 256), 256>>>(x, y, weight, out, n)
extern "C" __global__ void k(const float* x, const float* y, const float* w, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = fmaxf(x[i] * w[0] + y[i], 0.f);
}
"""


def problem() -> Problem:
    x, y, out = (Tensor(name=name, shape=(N,), dtype="float32") for name in ("x", "y", "out"))
    weight = Tensor(name="weight", shape=(1,), dtype="float32")
    sizes = {"n": N}
    shipped = Instance(program=MODEL, sizes=sizes, inputs=(x, y), parameters=(weight,), outputs=(out,))
    return Problem(
        id="fma", source="test", level=1, split=Split.HELDOUT, dialect=Dialect.MODEL,
        operators=("mul", "add", "relu"), shipped=shipped, checks=(shipped,), tolerance=1e-4,
        flops=3 * N, bytes=12 * N,
    )  # fmt: skip


@pytest.fixture(scope="module")
def backend():
    backend = CudaBackend(EvaluationSettings(backend=BackendName.CUDA), debug=True)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def timer():
    with Timer(TimingSettings(baselines=(Baseline.EAGER, Baseline.COMPILE)), debug=True) as timer:
        yield timer


def timed(timer, backend, source, of=None):
    of = of or problem()
    plan = planned(source, of.shipped)
    return timer.time(of, plan, backend.build(source, [plan.launches[0].kernel]), seed=1)


def test_a_fused_kernel_is_faster_than_eager(timer, backend):
    timing = timed(timer, backend, KERNEL)
    assert isinstance(timing, Timing), timing
    print(timing.model_dump_json(indent=1))
    assert timing.candidate.samples >= 20
    assert timing.max_error <= 1
    eager = timing.speedups[Baseline.EAGER]
    assert eager.low <= eager.median <= eager.high
    assert eager.low > 1.2  # three passes against one
    assert timing.speedup.median <= eager.median


def test_wrong_outputs_of_timed_launches_are_noticed(timer, backend):
    outcome = timed(timer, backend, KERNEL.replace("0.f)", "0.1f)"))
    assert isinstance(outcome, Refusal)
    assert outcome.status is Status.WRONG


def test_a_fault_while_timing_ends_one_candidate_only(timer, backend):
    outcome = timed(timer, backend, KERNEL.replace("out[i] = ", "out[(1ull << 40) + i] = "))
    assert isinstance(outcome, Refusal)
    assert outcome.status is Status.FAULT
    assert isinstance(timed(timer, backend, KERNEL), Timing)


def test_no_speed_counts_that_the_estimate_calls_impossible(backend):
    slow = Peaks(bytes_per_s=1e9, flops_per_s={"float32": 1e12}, l2_bytes=0)
    settings = TimingSettings(baselines=(Baseline.SELF,))
    with Timer(settings, peaks=slow) as timer, pytest.raises(TimingError, match="by our estimate"):
        timed(timer, backend, COPY_KERNEL, copy_problem(1 << 20))
