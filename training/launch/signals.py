"""SIGTERM and SIGUSR1 as a request to stop soon, so that a cluster can take its machine back.

A training process finishes its step, saves a snapshot and ends with `training.launch.local.REQUEUE`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

#: What batch systems send before they end a job.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Within it `handler` gets the signals; no effect outside the main thread, where Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class StopRequest:
    """Whether this rank, or its launcher, was asked to stop."""

    def __init__(self, file: Path | None, failed: Path | None) -> None:
        """
        Args:
            file: the launcher makes it when it gets a signal.
            failed: made by a process that fails; the others are sent SIGTERM then, and end at once.
        """
        self._file, self._failed = file, failed
        self._asked = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal."""
        if self._failed is not None and self._failed.exists():
            os._exit(1)
        self._asked = True

    def agreed(self) -> bool:
        """Whether any rank was asked; collective, once per step, the same answer on all ranks."""
        import torch  # late: launchers and stages read this module too
        import torch.distributed as dist

        asked = self._asked or (self._file is not None and self._file.exists())
        flag = torch.tensor([int(asked)])
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())
