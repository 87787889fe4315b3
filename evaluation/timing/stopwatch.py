"""From a correct verdict to one with a speed-up: the candidate timed at the shipped sizes.

A speed-up is a property of one machine at one time, so it is measured after everything else, and no cache of
verdicts keeps it. What the verdict carries is the lower end of the interval; the reason tells the rest.
"""

from __future__ import annotations

from evaluation.backends.cuda.backend import CudaBackend
from evaluation.candidate import Candidate
from evaluation.closing import Closing
from evaluation.errors import EvaluatorFailure
from evaluation.plan import plan
from evaluation.problem import Problem
from evaluation.timing.samples import Baseline, Timing, TimingSettings
from evaluation.timing.timer import Timer, TimingError
from evaluation.verdict import Refusal, Status, Verdict


class Stopwatch(Closing):
    """Times correct candidates on one GPU; a context manager.

    Nothing starts before the first candidate. The GPU's peaks are measured then, so that no speed counts that
    is beyond what the problem's bytes and operations allow.

    Args:
        backend: builds the candidates; it stays the caller's.
        settings: when to stop, and the baselines.
        secret: mixed into the seeds of the inputs; a fresh one is drawn if there is none.
    """

    def __init__(
        self,
        backend: CudaBackend,
        settings: TimingSettings | None = None,
        *,
        device: int = 0,
        secret: int | None = None,
    ) -> None:
        self._backend = backend
        self._settings = settings or TimingSettings()
        self._device = device
        self._secret = secret
        self._timer: Timer | None = None

    def time(self, problem: Problem, candidate: Candidate, *, seed: int) -> Timing | Refusal:
        """Time a candidate that is known to be correct.

        Refuses where it fails at the shipped sizes, or where its time is impossible.

        Raises:
            TimingError: if the problem's program does not run on this GPU.
            EvaluatorFailure: if the GPU or a process of ours fails.
        """
        planned = plan(candidate, problem.shipped)
        if isinstance(planned, Refusal):
            return planned
        built = self._backend.build(candidate.source, planned.kernels)
        if isinstance(built, Refusal):
            return built
        try:
            return self._ready_timer().time(problem, planned, built, seed=seed)
        except EvaluatorFailure:
            self.close()  # what failed starts anew with the next candidate
            raise

    def close(self) -> None:
        """End the processes that measure."""
        if self._timer is not None:
            self._timer.close()
        self._timer = None

    def _ready_timer(self) -> Timer:
        if self._timer is None:
            timer = Timer(
                self._settings,
                device=self._device,
                secret=self._secret,
                require_confinement=self._backend.settings.require_confinement,
            )
            try:
                timer.measure_peaks()
            except BaseException:
                timer.close()
                raise
            self._timer = timer
        return self._timer


def timed(
    verdict: Verdict, stopwatch: Stopwatch, problem: Problem, candidate: Candidate, seed: int
) -> Verdict:
    """A correct verdict with its speed-up, or what timing found wrong; any other verdict as it is."""
    if not verdict.correct:
        return verdict
    return with_timing(verdict, measure(stopwatch, problem, candidate, seed))


def measure(stopwatch: Stopwatch, problem: Problem, candidate: Candidate, seed: int) -> Timing | Refusal:
    """Time a candidate; a problem that cannot be timed is UNSUPPORTED."""
    try:
        return stopwatch.time(problem, candidate, seed=seed)
    except TimingError as error:
        return Refusal(status=Status.UNSUPPORTED, reason=str(error))


def with_timing(verdict: Verdict, outcome: Timing | Refusal) -> Verdict:
    """What a correct verdict becomes once it has been timed.

    A problem that cannot be timed leaves it correct, without a speed-up.
    """
    assert verdict.measurements is not None
    if isinstance(outcome, Timing):
        if outcome.speedup is None:
            return verdict
        measurements = verdict.measurements.model_copy(update={"speedup": outcome.speedup.low})
        reason = f"{verdict.reason}; {describe(outcome)}"
        return verdict.model_copy(update={"reason": reason, "measurements": measurements})
    if outcome.status is Status.UNSUPPORTED:
        return verdict.model_copy(update={"reason": f"{verdict.reason}; not timed: {outcome.reason}"})
    return Verdict(status=outcome.status, reason=f"at the shipped sizes: {outcome.reason}")


def describe(timing: Timing) -> str:
    """The speed-ups with their 95 % intervals, the time, and the share of the roofline, in words."""
    own = timing.candidate
    parts = [
        f"{found.median:.3g} times as fast as {_NAMES[name]} ({found.low:.3g} to {found.high:.3g})"
        for name, found in timing.speedups.items()
    ]
    text = f"{', '.join(parts)}; {1e3 * own.median:.4g} us, median of {own.samples} samples"
    if timing.roofline_fraction is not None:
        text += f", {timing.roofline_fraction:.0%} of the roofline"
    return text


_NAMES = {
    Baseline.EAGER: "PyTorch",
    Baseline.COMPILE: "torch.compile",
    Baseline.EAGER_TF32: "PyTorch with TF32",
    Baseline.SELF: "itself",
}
