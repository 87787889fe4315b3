"""Weights by a broadcast from rank 0 to the GPUs of all engines: NCCL, or gloo between CPUs.

NCCL joins processes on different GPUs only, and a server that dies within a broadcast ends the run: engines
on the trainer's own GPUs get their weights by CUDA IPC (`transfer`) instead.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # exported where it is built
from torch.distributed import distributed_c10d as c10d

from evaluation.errors import WarpsmithError
from training.rollout.sglang.buckets import Bucket
from training.rollout.sglang.fleet import Fleet, Member
from training.rollout.sglang.protocol import ServerInfo
from training.rollout.sglang.transfer import update_fields

_GROUP = "warpsmith-weights"
_GROUP_TIMEOUT = timedelta(minutes=5)


class BroadcastTransfer:
    """A broadcast from rank 0 to all GPUs of all engines, in a group made for it. A `Transfer`."""

    def __init__(self, fleet: Fleet, info: ServerInfo, host: str) -> None:
        """`host` is this machine's address, as the engines reach it."""
        self._fleet, self._info, self._host = fleet, info, host
        self._backend = "nccl" if info.device == "cuda" else "gloo"
        self._joined: list[tuple[Member, int]] = []
        self._group: dist.ProcessGroup | None = None
        self._count = self._version = 0

    def begin(self, version: int) -> None:
        """Join the engines in a group; in a new one if one of them was started again since."""
        self._version = version
        ready = self._ready()
        if ready != self._joined:
            self._leave()
            self._join([member for member, _ in ready])
            self._joined = ready

    def send(self, bucket: Bucket) -> None:
        """Broadcast one bucket while the engines wait for it."""
        body = {
            "names": [entry.name for entry in bucket.entries],
            "dtypes": [str(entry.dtype).removeprefix("torch.") for entry in bucket.entries],
            "shapes": [list(entry.shape) for entry in bucket.entries],
            "group_name": self._group_name,
            **update_fields(bucket, self._version),
        }
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(
                self._fleet.each,
                lambda member: member.client.control("/update_weights_from_distributed", body),
            )
            dist.broadcast(bucket.data, src=0, group=self._group)
            answers.result()

    def finish(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Leave the group."""
        self._leave()

    @property
    def _group_name(self) -> str:
        return f"{_GROUP}-{self._count}"

    def _join(self, members: list[Member]) -> None:
        self._count += 1
        world = 1 + len(members) * self._info.tp_size
        store = _open_store(self._host, world)
        offsets = {member: 1 + i * self._info.tp_size for i, member in enumerate(members)}

        def join(member: Member) -> None:
            if member in offsets:
                member.client.control(
                    "/init_weights_update_group",
                    {
                        "master_address": self._host,
                        "master_port": store.port,
                        "rank_offset": offsets[member],
                        "world_size": world,
                        "group_name": self._group_name,
                        "backend": self._backend,
                    },
                )

        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(self._fleet.each, join)
            try:
                self._group = _join_group(self._backend, store, world, self._group_name)
            except (RuntimeError, dist.DistError) as error:
                raise WarpsmithError(
                    f"the trainer and the SGLang engines cannot form a {self._backend} group at {self._host} "
                    f"({' '.join(str(error).split())[:300]}); set rollout.weight_sync: disk, and see the "
                    "servers' logs"
                ) from None
            answers.result()

    def _ready(self) -> list[tuple[Member, int]]:
        """The engines that can take part, and which of their lives this is."""
        return [(member, member.restarts) for member in self._fleet.members if member.is_ready]

    def _leave(self) -> None:
        """End the group: all at once, since NCCL waits for the others; alone if one of them has died.

        Engines that outlive another keep what NCCL holds for the group, and would wait for the dead one.
        """
        group, joined = self._group, self._joined
        self._group, self._joined = None, []
        if group is None:
            return
        if self._backend == "nccl" and self._ready() != joined:
            _abort(group)
            return
        body = {"group_name": self._group_name}
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(self._fleet.each, lambda member: _destroy(member, body))
            dist.destroy_process_group(group)
            answers.result()


def _open_store(host: str, world_size: int) -> TCPStore:
    """Where the processes of a group find each other, at a free port of this machine.

    Not by torch's `rendezvous`: under torchrun that opens none, since it expects torchrun's at this address.
    """
    return TCPStore(host, 0, world_size, is_master=True, timeout=_GROUP_TIMEOUT, wait_for_workers=False)


def _join_group(backend: str, store: TCPStore, world_size: int, name: str) -> dist.ProcessGroup:
    """Rank 0 of a process group beside the trainer's own, joined as SGLang's side joins it.

    torch.distributed has no public call for a second world, so this uses the one that torch itself uses.
    """
    make: Any = c10d._new_process_group_helper
    group, _ = make(
        world_size,
        0,
        [],
        c10d.Backend(backend),
        c10d.PrefixStore(name, store),
        group_name=name,
        timeout=_GROUP_TIMEOUT,
    )
    c10d._world.pg_group_ranks[group] = {rank: rank for rank in range(world_size)}
    joined: dist.ProcessGroup = group
    return joined


def _abort(group: dist.ProcessGroup) -> None:
    """Leave a group without the others; torch has no public call for a single group."""
    c10d._abort_process_group(group)


def _destroy(member: Member, body: dict[str, str]) -> None:
    try:
        member.client.control("/destroy_weights_update_group", body)
    except WarpsmithError:  # it was started again since and knows of no group
        return
