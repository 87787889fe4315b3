"""One confined worker process of a pool of forks: starting it, asking it, ending it."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaluation import confine
from evaluation.errors import WarpsmithError
from evaluation.reference import frames

_START_SECONDS = 120.0
"""Wall-clock seconds that a worker may take to import its package on a loaded machine."""
_WORKER_CPU_SECONDS = 86400
"""The worker's own limit; each child gets a far lower one."""
_FRAME_OVERHEAD = 2 << 20
"""Bytes that a reply may have beyond the child's own: the last chunk that was read."""


class WorkerDied(Exception):
    """The worker gave no answer and must be closed; the message says why."""


class Worker:
    """A process that has imported what it needs and forks for each request; one request at a time.

    It dies with the thread that creates it (`evaluation.confine`), so that thread must outlive it.
    """

    def __init__(self, scratch: Path, memory_mb: int, module: str, needs: str) -> None:
        """Start the process, with the empty folder `scratch` to itself; it is not ready yet.

        `module` serves (`evaluation.reference.serving`), and `needs` names the package that it imports.
        """
        self._needs = needs
        self._log = scratch / "worker.log"
        lock = scratch / "child.so"  # its own folder may be closed to the worker's user
        shutil.copy(confine.child_lock(), lock)
        confined = confine.command(
            confine.python(module, str(lock)),
            writable=scratch,
            readable=_readable(),
            cpu_seconds=_WORKER_CPU_SECONDS,
            memory_mb=memory_mb,
            file_mb=1,
            mode=confine.Mode.NOBODY,
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                confined,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until all is imported, for seconds at first; raises `WarpsmithError` when that fails."""
        if self._ready:
            return
        try:
            self._receive(time.monotonic() + _START_SECONDS, len(frames.READY))
            self._ready = True
        except WorkerDied:
            raise WarpsmithError(
                f"a confined worker did not start ({self._last_words()}); "
                f"check that `import {self._needs}` works in this environment"
            ) from None

    def ask(self, request: dict[str, Any], seconds: float) -> bytes:
        """Send `request` and return the reply's bytes: 4 of wait status, then the child's own."""
        try:
            frames.write_all(self._requests.fileno(), frames.frame(json.dumps(request).encode()))
        except BrokenPipeError:
            raise WorkerDied("its worker had died") from None
        return self._receive(time.monotonic() + seconds, request["reply_bytes"] + _FRAME_OVERHEAD)

    def kill(self) -> None:
        """End the worker and whatever child it has; a thread that waits for it is told so."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the worker, and let go of it."""
        self.kill()
        self._process.wait()
        self._requests.close()
        self._replies.close()

    def _receive(self, deadline: float, limit: int) -> bytes:
        size = frames.length(self._read(frames.HEADER_BYTES, deadline))
        if size > limit:
            raise WorkerDied("it returned more data than asked for")
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        descriptor, data = self._replies.fileno(), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerDied("it did not finish in time")
                chunk = os.read(descriptor, min(size - len(data), 1 << 20))
                if not chunk:
                    raise WorkerDied("its worker died")
                data += chunk
        return bytes(data)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["no message"]
        return lines[-1][:300]


def _readable() -> list[Path]:
    """What a worker may read: the Python installation, the system's libraries and this package.

    Some of torch's CPU kernels also refuse to run where they cannot find out what the processor is.
    """
    system = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
    processor = ("/proc/cpuinfo", "/sys/devices/system/cpu")
    return [*confine.python_folders(), *map(Path, (*system, *processor))]


def _environment(scratch: Path) -> dict[str, str]:
    """A worker's whole environment: nothing of the caller's own."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return single | {
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "HOME": str(scratch),
        "USER": "reference",  # torch looks the user up, and the worker may not read /etc/passwd
        "LC_ALL": "C.UTF-8",
    }
