"""What timing makes of a correct verdict, alone and in the pool; the stopwatch is a stand-in. No GPU."""

from __future__ import annotations

import threading

import pytest

from evaluation.candidate import parse
from evaluation.check import SizeSet, check
from evaluation.pool import EvaluationPool, Request
from evaluation.settings import EvaluationSettings
from evaluation.timing.samples import Baseline, Timing, sampled, speed_up
from evaluation.timing.stopwatch import describe, timed, with_timing
from evaluation.timing.timer import TimingError
from evaluation.verdict import Measurements, Refusal, Status, Verdict

CORRECT = Verdict(
    status=Status.CORRECT, reason="equal", measurements=Measurements(instances=2, max_error=0.1)
)
KERNEL = """```cuda
// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + x[i];
}
```"""


def timing(ratio=2.0):
    own = [1.0, 1.01, 0.99] * 10
    other = [ratio * value for value in own]
    return Timing(
        candidate=sampled(own),
        baselines={Baseline.EAGER: sampled(other)},
        speedups={Baseline.EAGER: speed_up(own, other)},
        max_error=0.5,
        roofline_fraction=0.8,
        event_overhead_us=1.3,
        slots=3,
        flushes=1,
        tf32=False,
        clocks=(),
    )


class Stub:
    """A stopwatch that says what it is told to."""

    def __init__(self, outcome):
        self.outcome, self.timed = outcome, []

    def time(self, problem, candidate, *, seed):
        self.timed.append(problem.id)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_a_timed_kernel_carries_the_lower_end():
    verdict = with_timing(CORRECT, timing())
    assert verdict.measurements.speedup == pytest.approx(2.0)
    assert verdict.measurements.max_error == 0.1
    assert "2 times as fast as PyTorch (2 to 2)" in verdict.reason
    assert "80% of the roofline" in describe(timing())


@pytest.mark.parametrize("status", [Status.CHEATED, Status.WRONG, Status.FAULT, Status.TIMEOUT])
def test_what_fails_at_the_shipped_sizes_is_not_correct(status):
    verdict = with_timing(CORRECT, Refusal(status=status, reason="because"))
    assert verdict.status is status
    assert verdict.reason == "at the shipped sizes: because"
    assert verdict.measurements is None


def test_a_problem_that_cannot_be_timed_costs_the_candidate_nothing(double):
    verdict = timed(CORRECT, Stub(TimingError("no GPU runs it")), double, parse(KERNEL), 0)
    assert verdict.correct
    assert verdict.measurements.speedup is None
    assert verdict.reason == "equal; not timed: no GPU runs it"


def test_check_times_only_what_is_correct(double, simt, reference):
    def judged(text, stopwatch):
        return check(
            double, text, sizes=SizeSet.CHECKS, seed=0, backend=simt, reference=reference, stopwatch=stopwatch
        )

    stub = Stub(timing())
    assert judged(KERNEL, stub).measurements.speedup == pytest.approx(2.0)
    assert judged(KERNEL, None).measurements.speedup is None
    assert judged(KERNEL.replace("+ x[i]", "+ 1.f"), stub).status is Status.WRONG
    assert len(stub.timed) == 1


def test_the_pool_times_each_correct_kernel_once_and_remembers(double, simt, reference):
    stub = Stub(timing())
    other = double.model_copy(update={"id": "another"})
    wrong = KERNEL.replace("+ x[i]", "+ 1.f")
    requests = [
        Request(double, KERNEL),
        Request(other, wrong),
        Request(double, KERNEL),
        Request(other, KERNEL + " "),
    ]
    with EvaluationPool(EvaluationSettings(workers=1), reference, stopwatches=[stub]) as pool:
        verdicts = pool.evaluate(requests, seed=0)
        assert [verdict.correct for verdict in verdicts] == [True, False, True, True]
        assert [verdict.measurements.speedup for verdict in verdicts if verdict.correct] == [
            pytest.approx(2.0)
        ] * 3
        assert stub.timed == ["another", "test"]  # ordered by problem
        assert pool.timing(requests[0]) == timing()
        assert pool.timing(requests[1]) is None
        pool.evaluate(requests, seed=0, sizes=SizeSet.ALIGNED)
        assert len(stub.timed) == 2  # only the check sizes are followed by timing
        stub.outcome = Refusal(status=Status.CHEATED, reason="too fast")
        again = pool.evaluate(requests[:1], seed=0)
        assert again[0].status is Status.CHEATED  # no cache keeps a speed


class Slow(Stub):
    """Works on a problem until another stopwatch is at work too."""

    def __init__(self, both):
        super().__init__(timing())
        self._both = both

    def time(self, problem, candidate, *, seed):
        if problem.id not in self.timed:
            self._both.wait()
        return super().time(problem, candidate, seed=seed)


def test_the_pool_times_on_every_gpu_at_once_and_a_problem_on_one(double, simt, reference):
    both = threading.Barrier(2, timeout=60)
    gpus = [Slow(both), Slow(both)]
    others = [
        double.model_copy(
            update={
                "id": f"p{index}",
                "shipped": double.shipped.model_copy(
                    update={"program": f"{double.shipped.program}# {index}"}
                ),
            }
        )
        for index in range(4)
    ]
    requests = [Request(problem, KERNEL + " " * turn) for turn in range(2) for problem in others]
    with EvaluationPool(EvaluationSettings(workers=1), reference, stopwatches=gpus) as pool:
        verdicts = pool.evaluate(requests, seed=0)
    assert all(verdict.measurements.speedup == pytest.approx(2.0) for verdict in verdicts)
    on_first, on_second = (set(gpu.timed) for gpu in gpus)
    assert on_first | on_second == {f"p{index}" for index in range(4)} and not on_first & on_second
    assert len(gpus[0].timed) == 2 * len(on_first) and len(gpus[1].timed) == 2 * len(on_second)
