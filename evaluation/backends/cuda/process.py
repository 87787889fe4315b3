"""Handles on the processes that hold a CUDA context: a zygote, and workers that it forks.

A worker shares one block of memory with us (a memfd) and is spoken to over a socket. It is expendable: when
it hangs or faults it is killed, and the one that stands by takes its place. Zygote and workers run confined,
as far as a GPU's driver allows, with an environment that holds nothing of the caller's but where tools lie.
"""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from evaluation import confine
from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.scratch import Scratch

_START_SECONDS = 120.0
_ATTEMPTS = 3
_FILE_MB = 1024
"""Largest file that a process may write: what torch compiles, mostly."""
#: One thread each, and one queue to the GPU: a context with fewer queues is made faster.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "CUDA_DEVICE_MAX_CONNECTIONS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "USER": "warpsmith",  # torch looks the user up
}
_FOLDERS = ("PYTHONPATH", "LD_LIBRARY_PATH", "PATH", "CUDA_HOME", "CUDA_PATH")
"""Of the caller's environment, what says where tools and libraries lie; they may be read."""
_INHERITED = (
    *_FOLDERS,
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_MODULE_LOADING", "NVIDIA_VISIBLE_DEVICES"),
    *("CC", "CXX"),
)
"""All that a process of the cuda backend gets of the caller's environment."""
_COMPILERS = (("CC", "gcc"), ("CXX", "g++"))
"""The compilers of torch's and Triton's own code; each may read the folder that it is installed in."""
_SYSTEM = ("/proc", "/sys", "/usr/local/cuda", "/etc/nvidia", "/etc/alternatives")
"""What a GPU's driver and torch's compiler read, besides SYSTEM_FOLDERS and the Python installation."""


def environment(scratch: Path) -> dict[str, str]:
    """The whole environment of a process that runs candidates or programs on a GPU: no secret is in it."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    here = {"HOME": str(scratch), "TMPDIR": str(scratch), "LD_PRELOAD": str(confine.thread_names())}
    return kept | _ENVIRONMENT | here


def confined(argv: list[str], scratch: Path) -> list[str]:
    """`argv` behind the launcher: it uses GPUs, reads programs and libraries, and writes to `scratch` alone.

    Raises WarpsmithError if there is no C++ compiler to build the launcher with.
    """
    named = [part for name in _FOLDERS for part in os.environ.get(name, "").split(os.pathsep) if part]
    compilers = filter(None, (shutil.which(os.environ.get(name, tool)) for name, tool in _COMPILERS))
    devices = [path for path in Path("/dev").iterdir() if path.name.startswith("nvidia")]
    return confine.command(
        argv,
        writable=scratch,
        readable=[
            *confine.SYSTEM_FOLDERS, *confine.python_folders(), *devices, *map(Path, (*_SYSTEM, *named)),
            confine.thread_names(), *(Path(path).resolve().parent.parent for path in compilers),
        ],
        cpu_seconds=0,
        memory_mb=0,
        file_mb=_FILE_MB,
        mode=confine.Mode.GPU,
    )  # fmt: skip


class Purpose(StrEnum):
    """What the workers of one zygote are for."""

    CHECK = "check"  #: correctness: PyCUDA alone
    MEASURE = "measure"  #: speed: PyCUDA and torch


class Job(StrEnum):
    """What a worker is forked for."""

    CHECK = "check"  #: run candidates on images of memory
    TIME = "time"  #: time a candidate beside the reference
    JUDGE = "judge"  #: know what is expected of timed launches


class Worker:
    """One forked process. It is warm once `wait_until_ready` has returned."""

    def __init__(self, zygote: Zygote, pid: int, channel: Channel, descriptor: int) -> None:
        self._zygote = zygote
        self._channel = channel
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None
        self._ready: dict[str, Any] | None = None
        self.pid = pid

    def wait_until_ready(self) -> dict[str, Any]:
        """What the worker says about its device, once it has a warm context; raises ChannelClosedError."""
        if self._ready is None:
            try:
                self._ready = self._channel.receive(_START_SECONDS)[0]
            except TimeoutError:
                raise ChannelClosedError(f"no answer within {_START_SECONDS:g} s") from None
        if "failure" in self._ready:
            raise ChannelClosedError(str(self._ready["failure"]))
        return self._ready

    def memory(self, size: int) -> memoryview:
        """At least `size` bytes shared with the worker; views from before may have been moved away from."""
        if self._memory is None or len(self._memory) < size:
            grown = max(size, 1 << 20)
            os.ftruncate(self._descriptor, grown)
            self._memory = mmap.mmap(self._descriptor, grown)
        return memoryview(self._memory)

    def ask(
        self, request: Mapping[str, Any], blob: bytes = b"", *, timeout_s: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for its answer; raises TimeoutError and ChannelClosedError."""
        self.send(request, blob)
        return self.receive(timeout_s)

    def send(self, request: Mapping[str, Any], blob: bytes = b"") -> None:
        """Send a request; raises ChannelClosedError."""
        size = len(self._memory) if self._memory is not None else 0
        self._channel.send({**request, "shared_bytes": size}, blob)

    def wait(self, timeout_s: float) -> bool:
        """Whether an answer, or the end of the process, comes within `timeout_s`."""
        return self._channel.wait(timeout_s)

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """The answer to what was sent; raises TimeoutError and ChannelClosedError."""
        return self._channel.receive(timeout_s)

    def close(self) -> None:
        """Kill the process and give back what we hold of it."""
        self._zygote.kill(self.pid)
        self._channel.close()
        self._memory = None  # unmapped when the last view of it is gone
        os.close(self._descriptor)


class Zygote:
    """The process that workers are forked from.

    Args:
        purpose: what its workers are for; it imports what they need.
        device: index of the GPU.
        debug: let workers write to this process's stderr.
        require_confinement: refuse a GPU whose driver does not work confined; otherwise a warning says so.
    """

    def __init__(
        self, purpose: Purpose, device: int = 0, *, debug: bool = False, require_confinement: bool = False
    ) -> None:
        self._purpose, self._device, self._debug = purpose, device, debug
        self._require_confinement = require_confinement
        self._scratch = Scratch("warpsmith-gpu-")
        self._log = self._scratch.path / "zygote.log"
        self._proven = False  #: whether a worker has ever become ready
        confine.require_landlock(require_confinement)
        self.confined = True
        try:
            self._start()
        except WarpsmithError as error:
            self._start_without(error)

    def _start(self) -> None:
        self._channel, theirs = Channel.pair()
        with theirs, self._log.open("wb") as log:
            argv = confine.python("evaluation.backends.cuda.zygote", str(theirs.fileno()), self._purpose)
            self._process = subprocess.Popen(
                confined(argv, self._scratch.path) if self.confined else argv,
                pass_fds=[theirs.fileno()],
                env=environment(self._scratch.path),
                cwd=self._scratch.path,
                stdin=subprocess.DEVNULL,
                stderr=None if self._debug else log,
            )
        try:
            self._channel.receive(_START_SECONDS)
        except (ChannelClosedError, TimeoutError):
            reason = self._last_words()
            self._end()
            raise WarpsmithError(
                f"the cuda backend does not start ({reason}); it needs PyCUDA, and to measure torch with CUDA"
            ) from None

    def _start_without(self, error: WarpsmithError) -> None:
        """Start unconfined after `error`, if that is allowed, and say so if that helps."""
        if self._require_confinement:
            self._scratch.close()
            raise WarpsmithError(f"{error}; or set evaluation.require_confinement to false")
        self.confined = False
        try:
            self._start()
        except WarpsmithError:
            self._scratch.close()
            raise
        confine.do_without(f"processes on GPU {self._device} run unconfined ({error})", False)

    def fork(self, job: Job) -> Worker:
        """A new worker, not yet warm; raises EvaluatorFailure if this zygote has died."""
        ours, theirs = Channel.pair()
        memory = os.memfd_create("warpsmith")
        try:
            with theirs:
                message = {"do": "fork", "job": job, "device": self._device, "debug": self._debug}
                self._channel.send(message, descriptors=[theirs.fileno(), memory])
                pid = int(self._channel.receive(_START_SECONDS)[0]["pid"])
        except (ChannelClosedError, TimeoutError):
            ours.close()
            os.close(memory)
            raise EvaluatorFailure(
                f"the process that starts GPU workers died or hangs ({self._last_words()})"
            ) from None
        return Worker(self, pid, ours, memory)

    def fork_ready(self, job: Job) -> Worker:
        """A new worker, warm; raises WarpsmithError if the GPU does not come up.

        If the very first one does not, its driver may need what is refused: see `_start_without`.
        """
        try:
            worker = self._fork_ready(job)
        except WarpsmithError as error:
            if self._proven or not self.confined:
                raise
            self._end()
            self._start_without(error)
            worker = self._fork_ready(job)
        self._proven = True
        return worker

    def _fork_ready(self, job: Job) -> Worker:
        reason = ""
        for attempt in range(_ATTEMPTS):
            worker = self.fork(job)
            try:
                worker.wait_until_ready()
                return worker
            except ChannelClosedError as error:
                reason = str(error)
                worker.close()
                time.sleep(0.5 * attempt)
        raise WarpsmithError(f"no worker starts on GPU {self._device} ({reason}); see `nvidia-smi`")

    def kill(self, pid: int) -> None:
        """Kill a worker; does nothing if it has ended."""
        with suppress(ChannelClosedError):
            self._channel.send({"do": "kill", "pid": pid})

    def close(self) -> None:
        """End the zygote and everything that it forked."""
        self._end()
        self._scratch.close()

    def _end(self) -> None:
        self._channel.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        """The last line that the zygote wrote to stderr."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it ended without a word"
