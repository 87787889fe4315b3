"""A pool of confined workers that fork for every request: what the pools of programs and of answers share."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from evaluation import confine
from evaluation.closing import Closing
from evaluation.errors import WarpsmithError
from evaluation.reference.process import Worker
from evaluation.scratch import Scratch


class ForkPool(Closing):
    """Sends requests to confined workers. Thread-safe; as many requests at a time as workers."""

    def __init__(
        self,
        module: str,
        needs: str,
        *,
        workers: int,
        cpu_seconds: int,
        wall_seconds: float,
        memory_mb: int,
        reply_bytes: int,
        require_confinement: bool,
    ) -> None:
        """Nothing starts before the first request.

        Args:
            module: serves in the workers (`evaluation.reference.serving`).
            needs: the package that it imports, for an error message.
            workers: how many there may be.
            cpu_seconds: of a request.
            wall_seconds: of a request by the clock: the machine may be busy, but what sleeps must end.
            memory_mb: address space of a worker, and of each of its forks.
            reply_bytes: most that a fork may reply.
            require_confinement: see `EvaluationSettings`.
        """
        self._module, self._needs = module, needs
        self._require_confinement = require_confinement
        self._cpu_seconds, self._wall_seconds = cpu_seconds, wall_seconds
        self._memory_mb, self._reply_bytes = memory_mb, reply_bytes
        self._scratch = Scratch("warpsmith-reference-")
        self._scratch.path.chmod(0o711)  # the workers' user passes through it
        self._count = workers
        self._started = 0
        # Its thread lives as long as the pool: workers die with their creator.
        self._starter = ThreadPoolExecutor(1)
        self._workers: set[Worker] = set()
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)

    def close(self) -> None:
        """End all workers, also those that start or compute; the pool cannot be used afterwards."""
        for worker in list(self._workers):
            worker.kill()
        for _ in range(self._count):
            self._idle.get()
        self._count = 0
        self._starter.shutdown()
        for worker in list(self._workers):
            self._end(worker)
        self._scratch.close()

    def start(self) -> None:
        """Start a worker, and do not wait for it: the first call finds it on its way or ready."""
        worker = self._idle.get()
        try:
            worker = worker or self._starter.submit(self._start).result()
        finally:
            self._idle.put(worker)

    def exchange(self, jobs: list[dict[str, Any]], seconds: float | None = None) -> tuple[int, bytes]:
        """Do `jobs` in one fork: its wait status, and what it replied, which is not to be trusted.

        `seconds` by the clock end it earlier than is usual. Raises `WorkerDied` where there was no reply, and
        WarpsmithError where no worker starts.
        """
        request = {
            "jobs": jobs, "cpu_seconds": self._cpu_seconds,
            "memory_mb": self._memory_mb, "reply_bytes": self._reply_bytes,
        }  # fmt: skip
        longest = self._wall_seconds
        with self._worker() as worker:
            data = worker.ask(request, longest if seconds is None else min(longest, seconds))
        return int.from_bytes(data[:4], "little"), data[4:]

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """An idle worker, started if need be; one that is left by an exception is not used again."""
        if self._count == 0:
            raise WarpsmithError("the reference pool is closed; open a new one")
        worker = self._idle.get()
        try:
            worker = worker or self._starter.submit(self._start).result()
            worker.wait_until_ready()  # in this thread: who interrupts it need not wait for its imports
            yield worker
        except BaseException:
            if worker is not None:
                self._end(worker)
            worker = None
            raise
        finally:
            self._idle.put(worker)

    def _start(self) -> Worker:
        confine.require_landlock(self._require_confinement)
        self._started += 1
        folder = self._scratch.path / str(self._started)
        folder.mkdir()
        worker = Worker(folder, self._memory_mb, self._module, self._needs)
        self._workers.add(worker)  # before it is ready, so that `close` can end it
        return worker

    def _end(self, worker: Worker) -> None:
        worker.close()
        self._workers.discard(worker)
