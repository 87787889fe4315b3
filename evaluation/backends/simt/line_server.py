"""A confined child process that answers lines on its standard output to lines on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evaluation.backends.cuda.channel import is_readable


class ServerDied(Exception):
    """The server gave no answer in time, or has ended."""


class LineServer:
    """One request at a time; every wait has a limit. Not thread-safe."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=cwd, env=dict(environment), start_new_session=True, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._requests = self._process.stdin.fileno()
        self._answers = self._process.stdout.fileno()
        self._pending = b""

    def ask(self, request: str, seconds: float) -> str:
        """Send `request`, which ends in a newline, and return the next line of the answer."""
        remaining = request.encode()
        try:
            while remaining:
                remaining = remaining[os.write(self._requests, remaining) :]
        except BrokenPipeError:
            raise ServerDied from None
        return self.read_line(seconds)

    def read_line(self, seconds: float) -> str:
        """Return the next line without its newline."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            self._read_more(deadline)
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode(errors="replace")

    def read_bytes(self, count: int, seconds: float) -> bytes:
        """Return the next `count` bytes."""
        deadline = time.monotonic() + seconds
        while len(self._pending) < count:
            self._read_more(deadline)
        data, self._pending = self._pending[:count], self._pending[count:]
        return data

    def close(self) -> None:
        """End the process and everything in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()

    def _read_more(self, deadline: float) -> None:
        ready = is_readable(self._answers, max(0.0, deadline - time.monotonic()))
        part = os.read(self._answers, 65536) if ready else b""
        if not part:
            raise ServerDied
        self._pending += part
