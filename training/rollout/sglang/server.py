"""One SGLang server process of ours: its command, its start, its log and its end.

The server runs in a process group of its own and dies with this process, even when that is killed. It may
have an interpreter and packages of its own, because SGLang pins versions that the trainer does not share.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.rollout.sglang.client import Client

_GUARD = Path(__file__).with_name("guard.py")
_POLL_S = 0.2
_PROGRESS_S = 15.0
_FAREWELL_S = 10.0
_LOG_TAIL_LINES = 15
_LOG_TAIL_BYTES = 64_000
_LOG_LINE_CHARACTERS = 300
#: What ends a Python traceback.
_ERROR_LINE = re.compile(r"\S*(Error|Exception): |.* error: ")


class ServerDied(Exception):
    """The process ended, or did not become healthy in time; the end of its log is in the message."""


@dataclass(frozen=True)
class Launch:
    """How a server is started; the same again after it died."""

    name: str
    """What messages call it."""
    command: tuple[str, ...]
    """The server's command line."""
    environment: Mapping[str, str]
    """All of its environment variables."""
    url: str
    """Where it will answer."""
    log: Path
    """Where its output goes; a restart appends."""
    start_timeout_s: float
    """How long it may take to become healthy."""


class ServerProcess:
    """A started server."""

    def __init__(self, launch: Launch) -> None:
        """Start the process, under a guard that ends it when this process is gone."""
        self._launch = launch
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_GUARD), *launch.command],
                env=dict(launch.environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._log_start = launch.log.stat().st_size

    @property
    def pid(self) -> int:
        """Id of the guard, which is that of the group of all its processes."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def wait_healthy(self, client: Client, stopping: Callable[[], bool]) -> None:
        """Return when the server answers, or when `stopping` says so.

        Raises:
            ServerDied: it ended first, or took longer than the launch allows.
        """
        start = shown = time.monotonic()
        while not stopping():
            now = time.monotonic()
            if not self.is_alive:
                raise ServerDied(f"it ended with status {self._process.returncode}{self._tail()}")
            if now - start > self._launch.start_timeout_s:
                raise ServerDied(f"it was not healthy after {now - start:.0f} s{self._tail()}")
            if client.is_healthy():
                self._log_start = self._launch.log.stat().st_size  # what went wrong before was no matter
                return
            if now - shown > _PROGRESS_S:
                shown = now
                print(f"sglang: {self._launch.name} still starting after {now - start:.0f} s", flush=True)
            time.sleep(_POLL_S)

    def wait(self, timeout_s: float) -> bool:
        """Whether the process ended within `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def death(self) -> str:
        """Why the process ended, as far as its status and its log say."""
        return f"it ended with status {self._process.poll()}{self._tail()}"

    def stop(self) -> None:
        """Ask the server to end, then kill what is left of its processes."""
        self._process.terminate()
        self.wait(_FAREWELL_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _tail(self) -> str:
        """Where the log is, the last error in it, and the last lines that this process wrote there."""
        with self._launch.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line[:_LOG_LINE_CHARACTERS] for line in lines if line.strip()]
        error = next((f" ({line})" for line in reversed(told) if _ERROR_LINE.match(line)), "")
        return f"{error}; the end of {self._launch.log}:\n" + "\n".join(told[-_LOG_TAIL_LINES:])


def require_module(python: str, environment: Mapping[str, str], module: str, remedy: str) -> None:
    """Raise WarpsmithError unless `python` finds `module`; takes milliseconds, imports nothing."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    try:
        status = subprocess.run(
            [python, "-c", look], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True
        ).returncode
    except OSError as error:
        raise WarpsmithError(f"rollout.server_python {python} cannot be run: {error.strerror}") from None
    if status:
        raise WarpsmithError(f"{module} is not installed for {python}; {remedy}")


def server_environment(path: Sequence[str], extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a server, with `path` first on its PYTHONPATH.

    Without torchrun's variables, which would make the server take itself for one of the trainer's ranks.
    """
    inherited = {name: value for name, value in os.environ.items() if not _is_rank_variable(name)}
    python_path = [*path, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**inherited, **extra, "PYTHONPATH": os.pathsep.join(python_path)}


def _is_rank_variable(name: str) -> bool:
    ranks = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK"}
    return name in ranks or name.startswith(("TORCHELASTIC_", "MASTER_", "GROUP_", "ROLE_"))
