"""Taking turns on a GPU, across processes.

Contexts of several processes share a GPU by time slices, and a candidate that waits for a slice at every step
is slower than one that waits for its turn once. So a few may be on the GPU at a time; a measurement is alone.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evaluation.backends.cuda.visible_gpus import physical_gpu

SEATS = 2
"""Candidates that may run on one GPU at the same time: one computes while the other is being loaded."""
_POLL_SECONDS = 0.0003


class DeviceLock:
    """Seats on one GPU, as locked files that the kernel releases when their holder dies.

    Args:
        device: index of the GPU among those that this process sees.
        patience_s: how long to wait; after that one goes ahead, so that a candidate that hangs blocks nobody.
    """

    def __init__(self, device: int, *, seats: int = SEATS, patience_s: float = 0.25) -> None:
        stem = Path(tempfile.gettempdir(), f"warpsmith-{os.getuid()}-gpu{physical_gpu(device)}")
        self._paths = [Path(f"{stem}-{seat}.lock") for seat in range(seats)]
        self._patience_s = patience_s

    @contextmanager
    def share(self) -> Iterator[None]:
        """Take one seat."""
        descriptors = [_open(path) for path in self._paths]
        try:
            deadline = time.monotonic() + self._patience_s
            while not any(map(_try, descriptors)) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            yield
        finally:
            _close(descriptors)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Take every seat, one after the other."""
        descriptors = [_open(path) for path in self._paths]
        try:
            deadline = time.monotonic() + len(descriptors) * self._patience_s
            for descriptor in descriptors:
                while not _try(descriptor) and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
            yield
        finally:
            _close(descriptors)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(descriptor: int) -> bool:
    """Lock a seat if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(descriptors: Sequence[int]) -> None:
    """Give the seats back."""
    for descriptor in descriptors:
        os.close(descriptor)
