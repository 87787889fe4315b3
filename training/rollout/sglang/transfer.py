"""How a bucket of weights reaches the engines: what all ways have in common, and the two that send tensors.

Nothing here imports SGLang, which pins other versions than the trainer: what its servers unpickle is made of
torch's tensors and of plain attribute holders.
"""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from training.rollout.sglang.buckets import Bucket
from training.rollout.sglang.fleet import Fleet

_PATH = "/update_weights_from_tensor"


class Transfer(Protocol):
    """One way. With `IpcTransfer` every rank makes the same calls, with the others only rank 0 has one."""

    def begin(self, version: int) -> None:
        """Get ready for the weights of `version`; the engines are paused."""
        ...

    def send(self, bucket: Bucket) -> None:
        """Hand one bucket to all engines; it may be overwritten afterwards."""
        ...

    def finish(self) -> None:
        """All buckets were sent."""
        ...

    def close(self) -> None:
        """Give back what the transfer holds."""
        ...


class ValueTransfer:
    """Tensors by value over HTTP, from rank 0: for small models and for engines anywhere. A `Transfer`."""

    def __init__(self, fleet: Fleet, tp_size: int) -> None:
        """To the engines of `fleet`, each of `tp_size` GPUs."""
        self._fleet, self._tp_size, self._version = fleet, tp_size, 0

    def begin(self, version: int) -> None:
        """Nothing to prepare."""
        self._version = version

    def send(self, bucket: Bucket) -> None:
        """Send the bytes themselves, the same to each GPU of an engine."""
        payload = base64.b64encode(pickle.dumps(_message(bucket, bucket.data.cpu()))).decode()
        body = _body([payload] * self._tp_size, bucket, self._version)
        self._fleet.each(lambda member: member.client.control(_PATH, body))

    def finish(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Nothing is held."""


class IpcTransfer:
    """CUDA IPC: engines read the buckets in the trainer's memory, on the GPUs they share. A `Transfer`."""

    def __init__(self, fleet: Fleet | None, ranks: Mapping[int, tuple[int, ...]]) -> None:
        """`ranks` are the trainer's ranks on the GPUs of each engine (by number); `fleet` only on rank 0."""
        self._fleet, self._ranks, self._version = fleet, ranks, 0
        rank = dist.get_rank() if dist.is_initialized() else 0
        self._shares_gpu = any(rank in engine for engine in ranks.values())

    def begin(self, version: int) -> None:
        """Nothing to prepare."""
        self._version = version

    def send(self, bucket: Bucket) -> None:
        """Hand out every rank's handle; returns when all engines have read what is behind them."""
        handles: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(handles, _handle(bucket) if self._shares_gpu else None)
        if self._fleet is not None:
            bodies = {
                member: _body([handles[rank] for rank in self._ranks[number]], bucket, self._version)
                for number, member in enumerate(self._fleet.members)
            }
            self._fleet.each(lambda member: member.client.control(_PATH, bodies[member]))
        dist.barrier()

    def finish(self) -> None:
        """Let go of the memory that engines have closed."""
        torch.cuda.ipc_collect()

    def close(self) -> None:
        """Nothing is held."""


def update_fields(bucket: Bucket, version: int) -> dict[str, Any]:
    """What every update call says: with the last bucket, forget the old weights' KV cache, be `version`."""
    fields: dict[str, Any] = {"load_format": "flattened_bucket", "flush_cache": bucket.is_last}
    return {**fields, "weight_version": str(version)} if bucket.is_last else fields


def _body(payloads: Sequence[str], bucket: Bucket, version: int) -> dict[str, Any]:
    """An update with one payload for each GPU of an engine."""
    return {"serialized_named_tensors": list(payloads), **update_fields(bucket, version)}


def _handle(bucket: Bucket) -> str:
    """A bucket on a GPU as a payload that says where it is."""
    torch.cuda.current_stream().synchronize()
    buffer = io.BytesIO()
    ForkingPickler(buffer).dump(_message(bucket, bucket.data))
    return base64.b64encode(buffer.getvalue()).decode()


def _message(bucket: Bucket, data: Tensor) -> dict[str, Any]:
    """A bucket as the servers unpickle it; they read the attributes, of whatever class."""
    metadata = [
        SimpleNamespace(
            name=entry.name,
            shape=torch.Size(entry.shape),
            dtype=entry.dtype,
            start_idx=entry.start,
            end_idx=entry.end,
            numel=entry.end - entry.start,
        )
        for entry in bucket.entries
    ]
    return {"flattened_tensor": data, "metadata": metadata}
