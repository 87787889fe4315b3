"""Where the time of a rollout goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seconds:
    """Seconds by phase; phases that overlap count in full."""

    generate: float = 0.0
    score: float = 0.0

    @contextmanager
    def generating(self) -> Iterator[None]:
        """Count the block as generation."""
        start = time.perf_counter()
        yield
        self.generate += time.perf_counter() - start

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Count the block as scoring."""
        start = time.perf_counter()
        yield
        self.score += time.perf_counter() - start
