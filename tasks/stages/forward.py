"""Metrics of a training process, forwarded to MLflow while it runs.

The training process only appends to `metrics.jsonl`; it knows nothing of MLflow and never waits for it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

Row = Mapping[str, float]


class Sink(Protocol):
    """Where metrics go: `Tracking`, of which this module needs no more."""

    def log_steps(self, run_id: str, rows: list[Row]) -> None:
        """Log one mapping per step, but those that the run has already."""


class Forwarder:
    """Follows `path` in a thread while the block runs and logs the steps that it gains.

    A trouble with MLflow is the sink's: it makes up for it.
    """

    def __init__(self, path: Path, sink: Sink, run_id: str, *, poll_s: float = 2.0) -> None:
        """Follow `path` every `poll_s` seconds into the MLflow run `run_id`."""
        self._path, self._sink, self._run_id, self._poll_s = path, sink, run_id, poll_s
        self._logged = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="forward-metrics", daemon=True)

    def __enter__(self) -> Forwarder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._forward()

    def _follow(self) -> None:
        while not self._stop.wait(self._poll_s):
            self._forward()

    def _forward(self) -> None:
        fresh = [row for row in read_steps(self._path) if row["step"] > self._logged]
        if fresh:
            self._sink.log_steps(self._run_id, fresh)
            self._logged = int(fresh[-1]["step"])


def read_steps(path: Path) -> list[Row]:
    """The rows of a `metrics.jsonl`, one mapping per step; a line still being written is left for later.

    The whole file is read each time: it is small, and a resumed stage may have cut it back.
    """
    if not path.exists():
        return []
    complete = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in complete.splitlines() if line.strip()]
