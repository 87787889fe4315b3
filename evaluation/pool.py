"""Many verdicts at once: worker processes that may die, and a cache so that nothing is judged twice.

The verdict on a request depends on the problem, the response, the seed and the sizes alone: not on its
neighbours, on the number of workers, or on which of them judged it. Identical sources for the same problem
are judged once. A worker that dies is replaced and its task tried once more. What the evaluator fails at is
NOT_JUDGED: it says nothing of the candidate, no cache keeps it, and many in a row stop the run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from evaluation.backends.cuda.visible_gpus import chosen_gpus, physical_gpu
from evaluation.cache import VerdictCache, verdict_key
from evaluation.candidate import Candidate, parse
from evaluation.check import SizeSet, draw_cases, refused
from evaluation.closing import Closing
from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.problem import Problem
from evaluation.reference.draw import Case
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import ProgramError
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Refusal, Status, Verdict
from evaluation.worker import Failure, Task

if TYPE_CHECKING:
    from evaluation.timing.samples import Timing
    from evaluation.timing.stopwatch import Stopwatch

_ROOT = Path(__file__).parent.parent
_ATTEMPTS = 2
_LOOK_AHEAD = 2
"""Jobs for each worker whose expected outputs are worked out ahead."""
_GRACE_S = 120.0
"""Seconds beyond its own limits after which a worker counts as hung (they include waiting for a core)."""
_FAREWELL_S = 5.0
"""Seconds that a worker has to end by itself."""

ProgressCallback = Callable[[int, int], None]
"""Called with the number of requests done and their total, at the start and after every verdict."""


class EvaluationPoolError(WarpsmithError):
    """The pool cannot judge anything on this machine as it is."""


@dataclass(frozen=True)
class Request:
    """One response to judge."""

    problem: Problem
    response: str


@dataclass(frozen=True)
class _Job:
    """A distinct candidate that no cache has a verdict for."""

    key: str
    problem: Problem
    candidate: Candidate
    attempt: int = 1


_Drawn: TypeAlias = tuple[_Job, "Future[tuple[Case, ...]]"]
"""A job whose inputs and expected outputs are being worked out."""


class EvaluationPool(Closing):
    """Judges requests on `settings.workers` processes; a context manager, to be used from one thread."""

    def __init__(
        self,
        settings: EvaluationSettings,
        reference: ReferencePool | None = None,
        *,
        stopwatches: Sequence[Stopwatch] = (),
        cubins: Path | None = None,
    ) -> None:
        """Start nothing yet; workers start with the first request that needs them.

        Args:
            settings: how to judge, and on how many processes.
            reference: where reference programs run; the pool makes its own, and closes it, if there is none.
            stopwatches: one for each GPU, which time what is correct at check sizes; they stay the caller's.
                Without any nothing is timed.
            cubins: the folder of the stopwatches' backends: what workers have compiled is not compiled again.
        """
        self._settings = settings
        self._cache = VerdictCache(settings.cache_path)
        self._owns_reference = reference is None
        self._reference = reference or ReferencePool(require_confinement=settings.require_confinement)
        self._workers: list[_Worker] = []
        self._drawer = ThreadPoolExecutor(1, thread_name_prefix="reference")
        self._devices = chosen_gpus(settings.devices) if settings.backend is BackendName.CUDA else ()
        self._timers = ThreadPoolExecutor(max(len(stopwatches), 1), thread_name_prefix="timer")
        self._free = deque(stopwatches)
        self._cubins = cubins
        self._failures = 0  # in a row
        self._timings: dict[str, Timing | Refusal] = {}

    def evaluate(
        self,
        requests: Sequence[Request],
        *,
        seed: int,
        sizes: SizeSet = SizeSet.CHECKS,
        progress: ProgressCallback | None = None,
    ) -> list[Verdict]:
        """Verdicts in the order of the requests.

        Raises a WarpsmithError if the machine lacks what the backend needs; nothing in a request can raise.
        """
        verdicts: dict[int, Verdict] = {}
        waiting: dict[str, list[int]] = {}
        jobs: list[_Job] = []
        for index, request in enumerate(requests):
            verdict = self._without_running(request, seed, sizes)
            if isinstance(verdict, Verdict):
                verdicts[index] = verdict
            elif verdict.key in waiting:
                waiting[verdict.key].append(index)
            else:
                waiting[verdict.key] = [index]
                jobs.append(verdict)
        if progress is not None:
            progress(len(verdicts), len(requests))
        try:
            for job, verdict, keep in self._run(jobs, seed, sizes):
                verdicts.update(dict.fromkeys(waiting[job.key], verdict))
                if keep:
                    self._cache.update({job.key: verdict})
                if progress is not None:
                    progress(len(verdicts), len(requests))
        except BaseException:
            self._end_workers()  # what they are at belongs to no request any more
            raise
        if self._free and sizes is SizeSet.CHECKS:
            self._add_speeds(requests, verdicts, seed)
        return [verdicts[index] for index in range(len(requests))]

    def timing(self, request: Request) -> Timing | None:
        """What was measured when this request was last timed, if it was."""
        found = self._timings.get(_timing_key(request))
        return None if isinstance(found, Refusal) else found

    def close(self) -> None:
        """End the workers, which remove what they built."""
        self._end_workers()
        self._drawer.shutdown(cancel_futures=True)
        self._timers.shutdown(cancel_futures=True)
        self._cache.close()
        if self._owns_reference:
            self._reference.close()

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def _without_running(self, request: Request, seed: int, sizes: SizeSet) -> Verdict | _Job:
        """The verdict, if parsing or the cache gives it; otherwise the job to run."""
        candidate = parse(request.response)
        if isinstance(candidate, Refusal):
            return refused(candidate)
        key = verdict_key(
            request.problem,
            candidate.source,
            seed=seed,
            sizes=sizes,
            settings=self._settings,
            reference=type(self._reference).__name__,
        )
        return self._cache.get(key) or _Job(key, request.problem, candidate)

    def _add_speeds(self, requests: Sequence[Request], verdicts: dict[int, Verdict], seed: int) -> None:
        """Time what is correct once the GPUs are quiet, problem by problem; equal requests are timed once."""
        from evaluation.timing.stopwatch import with_timing

        correct = [index for index, verdict in verdicts.items() if verdict.correct]
        problems: dict[str, dict[str, Request]] = {}
        for index in sorted(correct, key=lambda index: (requests[index].problem.id, index)):
            request = requests[index]
            problems.setdefault(request.problem.shipped.program, {})[_timing_key(request)] = request
        self._timings.clear()
        for timings in self._timers.map(lambda same: self._time(same, seed), problems.values()):
            self._timings |= timings
        for index in correct:
            verdicts[index] = with_timing(verdicts[index], self._timings[_timing_key(requests[index])])

    def _time(self, requests: Mapping[str, Request], seed: int) -> dict[str, Timing | Refusal]:
        """Time one problem's candidates on a GPU that is free; runs in a thread."""
        stopwatch = self._free.popleft()
        try:
            return {key: self._measure(stopwatch, request, seed) for key, request in requests.items()}
        finally:
            self._free.append(stopwatch)

    def _measure(self, stopwatch: Stopwatch, request: Request, seed: int) -> Timing | Refusal:
        from evaluation.timing.stopwatch import measure

        candidate = parse(request.response)
        assert isinstance(candidate, Candidate)
        try:
            found = measure(stopwatch, request.problem, candidate, seed)
        except EvaluatorFailure as error:
            return Refusal(status=Status.NOT_JUDGED, reason=self._failed(str(error)).reason)
        self._failures = 0
        return found

    def _run(self, jobs: Sequence[_Job], seed: int, sizes: SizeSet) -> Iterator[tuple[_Job, Verdict, bool]]:
        """Judge all jobs; gives each with its verdict and whether the verdict may be cached."""
        queue = deque(jobs)
        drawn: deque[_Drawn] = deque()
        while queue or drawn or any(worker.job for worker in self._workers):
            while queue and len(drawn) < _LOOK_AHEAD * self._settings.workers:
                job = queue.popleft()
                cases = self._drawer.submit(
                    draw_cases, job.problem, sizes, seed, self._reference, job.candidate
                )
                drawn.append((job, cases))
            yield from self._hand_out(drawn)
            for worker in self._ready():
                job, reply = worker.finish()
                if isinstance(reply, Verdict):
                    self._failures = 0
                    yield job, reply, True
                elif isinstance(reply, Failure):
                    worker.retire()
                    if reply.actionable:
                        raise EvaluationPoolError(reply.message)
                    yield job, self._failed(reply.message), False
                elif job.attempt < _ATTEMPTS:
                    queue.appendleft(replace(job, attempt=job.attempt + 1))
                else:
                    yield job, self._failed("the worker process that judged it died twice"), False
            self._workers = [worker for worker in self._workers if not worker.dead]

    def _hand_out(self, drawn: deque[_Drawn]) -> Iterator[tuple[_Job, Verdict, bool]]:
        """Give every idle worker a job; a job whose reference fails gets its verdict here."""
        while drawn and (worker := self._idle_worker()) is not None:
            job, future = drawn.popleft()
            try:
                cases = future.result()
            except ProgramError as error:
                yield job, _not_judged(f"the reference program failed ({error})"), False
            except WarpsmithError:
                raise
            except Exception as error:  # a full disk, for one
                reason = f"the reference could not be run ({type(error).__name__}: {error})"
                yield job, self._failed(reason), False
            else:
                problem = job.problem
                worker.begin(job, Task(job.candidate, cases, problem.tolerance, problem.shipped))

    def _failed(self, reason: str) -> Verdict:
        """The verdict where the evaluator failed; raises EvaluationPoolError after too many in a row."""
        self._failures += 1
        if self._failures >= self._settings.failures_in_a_row:
            raise EvaluationPoolError(
                f"{self._failures} evaluations in a row failed, by no fault of the candidates; the last one: "
                f"{reason}; put that right, or raise evaluation.failures_in_a_row"
            )
        logging.warning("a candidate was not judged: %s", reason)
        return _not_judged(f"the evaluator failed ({reason})")

    def _idle_worker(self) -> _Worker | None:
        for worker in self._workers:
            if worker.job is None:
                return worker
        if len(self._workers) == self._settings.workers:
            return None
        taken = Counter(worker.device for worker in self._workers)
        least = min(self._devices, key=lambda device: taken[device], default=None)
        self._workers.append(_Worker(self._settings, least, self._cubins))
        return self._workers[-1]

    def _ready(self) -> Iterable[_Worker]:
        """Busy workers that have answered, died or overrun; waits for the first."""
        busy = {worker.connection: worker for worker in self._workers if worker.job is not None}
        if not busy:
            return []
        limit = max(0.0, min(worker.deadline for worker in busy.values()) - time.monotonic())
        answered = wait(list(busy), timeout=limit)
        if answered:
            return [worker for connection, worker in busy.items() if connection in answered]
        overdue = [worker for worker in busy.values() if worker.deadline <= time.monotonic()]
        for worker in overdue:
            worker.kill()
        return overdue


class _Worker:
    """The pool's end of one worker process."""

    def __init__(self, settings: EvaluationSettings, device: int | None, cubins: Path | None) -> None:
        """Start it; it sees no GPU of this process's but `device`."""
        self.device = device
        gpu = {} if device is None else {"CUDA_VISIBLE_DEVICES": physical_gpu(device)}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "evaluation.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": _python_path(), "OMP_NUM_THREADS": "1", **gpu},
                stdin=subprocess.DEVNULL,
            )
            self.connection = Connection(ours.detach())
        self.dead = False
        twice = 2 * settings.time_limit_s  # a timeout on a GPU counts only then
        self._allowance = twice + settings.compile_cpu_s + _GRACE_S
        self.job: _Job | None = None
        self.deadline = 0.0
        self._send((settings, cubins))

    def begin(self, job: _Job, task: Task) -> None:
        """Hand the worker a job."""
        self.job = job
        self.deadline = time.monotonic() + self._allowance
        self._send(task)

    def finish(self) -> tuple[_Job, Verdict | Failure | None]:
        """The job and its reply; no reply if the worker died, which ends it for good."""
        assert self.job is not None
        job, self.job = self.job, None
        try:
            return job, self.connection.recv()
        except (EOFError, OSError):
            self.dead = True
            self.join()
        if self._process.returncode > 0:  # not a signal: it could not even start, and said why on stderr
            raise EvaluationPoolError("an evaluation worker failed to start; its error is printed above")
        logging.warning("an evaluation worker died and is replaced")
        return job, None

    def retire(self) -> None:
        """Give up a worker that says it is broken, and ends."""
        self.dead = True
        self.join()

    def close(self) -> None:
        """Let an idle worker end by itself, and interrupt a busy one."""
        self.connection.close()
        if self.job is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def join(self) -> None:
        """Wait for the process to end; kill it if it does not."""
        self.connection.close()
        try:
            self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _send(self, message: tuple[EvaluationSettings, Path | None] | Task) -> None:
        try:
            self.connection.send(message)
        except OSError:
            self.kill()  # it died between tasks: reading its answer will say so


def _timing_key(request: Request) -> str:
    """What a time depends on, besides the machine."""
    return hashlib.sha256(f"{request.problem.shipped.program}\0{request.response}".encode()).hexdigest()


def _python_path() -> str:
    """Where a worker finds this package, whatever its working directory."""
    return os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _not_judged(reason: str) -> Verdict:
    return Verdict(status=Status.NOT_JUDGED, reason=reason)
