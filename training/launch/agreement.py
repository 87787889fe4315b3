"""What the ranks of a run tell each other before and beside training, and that they run the same job."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import torch.distributed as dist

from evaluation.errors import WarpsmithError
from training.settings.jobs import GrpoJob, SftJob

Value = TypeVar("Value")


def from_rank_0(value: Value | None) -> Value:
    """Rank 0's value on all ranks; collective."""
    box: list[Any] = [value]
    if dist.is_initialized():
        dist.broadcast_object_list(box, src=0)
    received: Value = box[0]
    return received


def from_all(value: Value) -> list[Value]:
    """The values of all ranks; collective."""
    parts: list[Any] = [value]
    if dist.is_initialized():
        parts = [None] * dist.get_world_size()
        dist.all_gather_object(parts, value)
    return parts


def require_same_job(job: SftJob | GrpoJob) -> None:
    """Raise WarpsmithError, on all ranks, unless all have the same job and see the same output folder."""
    first = from_rank_0(job)
    different = [rank for rank, same in enumerate(from_all(job == first)) if not same]
    if different:
        raise WarpsmithError(
            f"process {different[0]} was started with other settings than process 0; give every node the "
            "same command, but for --node-rank"
        )
    job.out_dir.mkdir(parents=True, exist_ok=True)
    mark: Path = from_rank_0(job.out_dir / f".shared-{uuid4().hex}" if dist.get_rank() == 0 else None)
    if dist.get_rank() == 0:
        mark.touch()
    dist.barrier()
    blind = [rank for rank, sees in enumerate(from_all(mark.exists())) if not sees]
    if dist.get_rank() == 0:
        mark.unlink()
    if blind:
        raise WarpsmithError(
            f"process {blind[0]} does not see what process 0 writes to {job.out_dir}; choose an --out-dir on "
            "a disk that all nodes share"
        )
