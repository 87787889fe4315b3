"""How fast a candidate is, and how sure that is: samples in turn with the baselines, until it is sure.

What the timed launches left in their outputs is compared
with the reference in a third process; the samples that are compared are drawn at random, and the last is one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from evaluation.backends.cuda.arguments import typed_launches
from evaluation.backends.cuda.backend import CudaBuilt
from evaluation.backends.cuda.channel import ChannelClosedError
from evaluation.backends.cuda.lock import DeviceLock
from evaluation.backends.cuda.process import Job, Purpose, Worker, Zygote
from evaluation.closing import Closing
from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.plan import Plan, Role
from evaluation.problem import Problem
from evaluation.timing.machine import Clocks, ClockSample
from evaluation.timing.roofline import Peaks, floor_s, fraction
from evaluation.timing.samples import Timing, TimingSettings, finished, largest, sampled, speed_up
from evaluation.verdict import Refusal, Status

_PREPARE_SECONDS = 300.0
_LEAST_PATIENCE_SECONDS = 2.5
_PATIENCE_SECONDS = 5.0
"""How long a measurement waits to be alone on the GPU."""
_FAST_STATUSES = {"launch_error": Status.LAUNCH_ERROR, "fault": Status.FAULT}


class TimingError(WarpsmithError):
    """A problem cannot be timed; the message says why."""


class Timer(Closing):
    """Times candidates on one GPU, one at a time; a context manager.

    The problem that was timed last stays loaded, so candidates are best ordered by problem.

    Args:
        peaks: of this GPU, to tell a time that is impossible; without them none is.
        secret: mixed into every seed; a fresh one is drawn if there is none.
        require_confinement: see `EvaluationSettings`.
    """

    def __init__(
        self,
        settings: TimingSettings,
        *,
        peaks: Peaks | None = None,
        device: int = 0,
        secret: int | None = None,
        debug: bool = False,
        require_confinement: bool = False,
    ) -> None:
        self._settings = settings
        self._peaks = peaks
        self._zygote = Zygote(Purpose.MEASURE, device, debug=debug, require_confinement=require_confinement)
        self._clocks = Clocks(device)
        self._lock = DeviceLock(device, patience_s=_PATIENCE_SECONDS)
        self._secret = int.from_bytes(os.urandom(4), "big") if secret is None else secret
        self._workers: dict[Job, Worker] = {}
        self._loaded: tuple[str, int] | None = None
        self._prepared: dict[str, Any] = {}

    def time(self, problem: Problem, plan: Plan, built: CudaBuilt, *, seed: int) -> Timing | Refusal:
        """Time a candidate that is already known to be correct, at the shipped sizes.

        Raises:
            TimingError: if the reference program does not run on the GPU.
        """
        self._prepare(problem, seed)
        refusal = self._load(plan, built)
        if refusal:
            return refusal
        outputs = [buffer.tensor for buffer in plan.buffers if buffer.role is Role.OUTPUT]
        return self._measure(problem, [tensor.name for tensor in outputs], seed)

    def measure_peaks(self) -> Peaks:
        """Measure what this GPU reaches, and hold candidates against it from now on."""
        if Job.TIME not in self._workers:
            self._workers[Job.TIME] = self._zygote.fork_ready(Job.TIME)
        l2_bytes = int(self._workers[Job.TIME].wait_until_ready()["l2_bytes"])
        answer = self._ask(Job.TIME, {"do": "peaks"}, timeout_s=_PREPARE_SECONDS)
        if isinstance(answer, Refusal):
            raise TimingError(f"the GPU's peaks cannot be measured: {answer.reason}")
        best = max(answer["copy_bytes_per_s"], answer["read_bytes_per_s"])
        self._peaks = Peaks(bytes_per_s=best, flops_per_s=answer["flops_per_s"], l2_bytes=l2_bytes)
        return self._peaks

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
        self._zygote.close()
        self._clocks.close()

    def _measure(self, problem: Problem, outputs: Sequence[str], seed: int) -> Timing | Refusal:
        """Sample until the rule is met, then check what was kept."""
        times: dict[str, list[float]] = {"candidate": [], **{name: [] for name in self._settings.baselines}}
        clocks = [self._clocks.sample()]
        rng = random.Random(f"{seed}/{self._secret}/{os.urandom(8).hex()}")
        order = rng.sample(range(self._prepared["slots"]), self._prepared["slots"])
        batch = self._settings.batch
        checked = rng.sample(range(batch - 1), min(self._settings.checked, batch - 1))
        begin = time.monotonic()
        while not finished(times, time.monotonic() - begin, self._settings):
            taken = len(times["candidate"])
            slots = [order[(taken + index) % len(order)] for index in range(batch)]
            held = [batch - 1] if taken else [*sorted(checked), batch - 1]
            if not taken:
                kept = [slots[index] for index in sorted(checked)]
            keep = len(kept) if taken else 0
            request = {"do": "sample", "slots": slots, "held": held, "keep": keep, "outputs": outputs}
            with self._lock.alone():
                answer = self._ask(Job.TIME, request)
            if isinstance(answer, Refusal):
                return answer
            for name, values in answer["milliseconds"].items():
                times[name] += [float(value) for value in values]
        clocks.append(self._clocks.sample())
        error = self._compare(problem, [*kept, slots[-1]], outputs)
        if isinstance(error, Refusal):
            return error
        return self._timing(problem, times, error, [sample for sample in clocks if sample])

    def _compare(self, problem: Problem, slots: Sequence[int], outputs: Sequence[str]) -> float | Refusal:
        """Hand what timed launches left behind to the judge.

        Refuses with WRONG if no sample is right, and with CHEATED if only some are; raises TimingError if the
        judge cannot tell, which is never the candidate's doing.
        """
        answer = self._ask(Job.TIME, {"do": "collect", "outputs": outputs})
        if isinstance(answer, Refusal):
            return answer
        request = {
            "do": "compare",
            "lent": answer["lent"],
            "contents": [slot % self._prepared["contents"] for slot in slots],
            "outputs": outputs,
            "tolerance": problem.tolerance,
        }
        answer = self._ask(Job.JUDGE, request, timeout_s=_PREPARE_SECONDS)
        if isinstance(answer, Refusal):
            raise TimingError(f"the outputs of timed launches cannot be compared: {answer.reason}")
        return largest([float(error) for error in answer["excess"]])

    def _timing(
        self,
        problem: Problem,
        times: Mapping[str, Sequence[float]],
        worst: float,
        clocks: Sequence[ClockSample],
    ) -> Timing:
        own = sampled(times["candidate"])
        seconds = own.median / 1e3
        floor = floor_s(problem, self._peaks) if self._peaks else 0.0
        if seconds < floor:
            raise TimingError(
                f"{seconds * 1e6:.3g} us is less than the {floor * 1e6:.3g} us that the problem's bytes and "
                "operations need by our estimate, so the estimate or the time is wrong and no speed counts"
            )
        baselines = self._settings.baselines
        return Timing(
            candidate=own,
            baselines={name: sampled(times[name]) for name in baselines},
            speedups={name: speed_up(times["candidate"], times[name]) for name in baselines},
            max_error=worst,
            roofline_fraction=fraction(problem, seconds, self._peaks) if self._peaks else None,
            event_overhead_us=self._prepared["overhead_us"],
            slots=self._prepared["slots"],
            flushes=self._prepared["flushes"],
            tf32=self._settings.tf32,
            clocks=tuple(clocks),
        )

    def _prepare(self, problem: Problem, seed: int) -> None:
        """Load a problem into the bench and the judge, unless it is there already."""
        secret_seed = (seed * 1_000_003 + self._secret) % 2**31
        key = (problem.shipped.program, secret_seed)
        if self._loaded == key and len(self._workers) == 2:
            return
        request = {
            "do": "prepare",
            "program": problem.shipped.program,
            "seed": secret_seed,
            "output_bytes": sum(tensor.nbytes for tensor in problem.shipped.outputs),
            "slots": self._settings.slots,
            "tf32": self._settings.tf32,
            "baselines": list(self._settings.baselines),
        }
        for job in (Job.TIME, Job.JUDGE):
            if job not in self._workers:
                self._workers[job] = self._zygote.fork_ready(job)
            answer = self._ask(job, request, timeout_s=_PREPARE_SECONDS)
            if isinstance(answer, Refusal):
                raise TimingError(f"{problem.id} cannot be timed: {answer.reason}")
            self._prepared |= answer
        self._loaded = key

    def _load(self, plan: Plan, built: CudaBuilt) -> Refusal | None:
        names = {buffer.tensor.name: buffer.tensor.name for buffer in plan.buffers}
        launches = typed_launches(plan, names, built.kernels)
        if isinstance(launches, Refusal):
            return launches
        own = [buffer.tensor for buffer in plan.buffers if buffer.role is not Role.INPUT]
        request = {
            "do": "load",
            "kernels": built.parameter_types,
            "launches": launches,
            "buffers": [tensor.model_dump() for tensor in own if prod(tensor.shape)],
        }
        answer = self._ask(Job.TIME, request, built.cubin)
        if isinstance(answer, Refusal):
            return answer
        self._prepared |= answer
        return None

    def _ask(
        self, job: Job, request: Mapping[str, Any], blob: bytes = b"", *, timeout_s: float | None = None
    ) -> dict[str, Any] | Refusal:
        """One exchange; a worker that does not answer well is ended and forked anew for the next problem.

        Raises EvaluatorFailure for what a candidate cannot bring about; a program can, while it is prepared.
        """
        limit = timeout_s or max(5 * self._settings.max_seconds, _LEAST_PATIENCE_SECONDS)
        try:
            answer, _ = self._workers[job].ask(request, blob, timeout_s=limit)
        except TimeoutError:
            self._drop(job)
            return Refusal(status=Status.TIMEOUT, reason=f"timing did not finish within {limit:g} s")
        except ChannelClosedError:
            self._drop(job)
            return _blamed(request, "the process that times died")
        if answer.get("status") == "ok":
            return answer
        if answer.get("fatal"):
            self._drop(job)
        status, reason = _FAST_STATUSES.get(str(answer.get("status"))), str(answer.get("reason"))[:500]
        return Refusal(status=status, reason=reason) if status else _blamed(request, reason)

    def _drop(self, job: Job) -> None:
        self._workers.pop(job).close()
        self._loaded = None


def _blamed(request: Mapping[str, Any], reason: str) -> Refusal:
    """A failure while a program is loaded is the program's; any other is the evaluator's, and raised."""
    if request["do"] != "prepare":
        raise EvaluatorFailure(reason)
    return Refusal(status=Status.FAULT, reason=reason)
