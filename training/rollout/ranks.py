"""The ranks that make a rollout: all of them together, or rank 0 for all.

A rollout may be made in a thread of its own while the main thread trains. Collectives of two threads must not
share a process group, or one rank's could meet the other thread's of another rank; hence a group for each.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

Value = TypeVar("Value")

#: Ranks wait for rank 0 as long as a rollout takes; a rank that dies ends the others without this.
_PATIENCE = timedelta(days=7)


class Ranks:
    """Some ranks, this one among them, and what they tell each other."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        """Those of a process group; none is this rank alone."""
        self._group = group
        self.rank = 0 if group is None else dist.get_rank()
        self.count = 1 if group is None else dist.get_world_size()

    @classmethod
    def together(cls) -> Ranks:
        """All ranks of the run, over a group of their own; collective."""
        return cls(dist.new_group(backend="gloo", timeout=_PATIENCE))

    @classmethod
    def alone(cls) -> Ranks:
        """This rank, which asks no other."""
        return cls(None)

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value, on every rank."""
        if self._group is None:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self._group)
        return values

    def broadcast(self, value: Value) -> Value:
        """Rank 0's value, on every rank."""
        if self._group is None:
            return value
        box: list[Any] = [value if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, group=self._group)
        result: Value = box[0]
        return result
