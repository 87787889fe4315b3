"""A process that takes part in broadcasts of weights as an SGLang server does, without the server."""

from __future__ import annotations

import math
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d as c10d
from torch.distributed.rendezvous import rendezvous

_PATIENCE = timedelta(minutes=2)


def serve(connection: Connection, device: str) -> None:
    """Answer (path, body) until the other end closes; a failure is answered in words."""
    backend = "nccl" if device.startswith("cuda") else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    peer = _Peer(device)
    while True:
        try:
            path, body = connection.recv()
        except EOFError:
            return
        try:
            connection.send((True, getattr(peer, path.strip("/"))(body)))
        except Exception as error:
            connection.send((False, repr(error)))


class _Peer:
    """The endpoints, under their names."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._groups: dict[str, dist.ProcessGroup] = {}

    def init_weights_update_group(self, body: dict[str, Any]) -> None:
        """Join a group by the calls that SGLang makes for it."""
        name, world = body["group_name"], body["world_size"]
        address = f"tcp://{body['master_address']}:{body['master_port']}"
        store, rank, _ = next(rendezvous(address, body["rank_offset"], world, timeout=_PATIENCE))
        group, _ = c10d._new_process_group_helper(
            world, rank, [], c10d.Backend(body["backend"]), c10d.PrefixStore(name, store),
            group_name=name, timeout=_PATIENCE,
        )  # fmt: skip
        c10d._world.pg_group_ranks[group] = {i: i for i in range(world)}
        self._groups[name] = group

    def update_weights_from_distributed(self, body: dict[str, Any]) -> list[int]:
        """Receive one bucket; its bytes."""
        sizes = zip(body["shapes"], body["dtypes"], strict=True)
        count = sum(math.prod(shape) * getattr(torch, dtype).itemsize for shape, dtype in sizes)
        received = torch.empty(count, dtype=torch.uint8, device=self._device)
        dist.broadcast(received, src=0, group=self._groups[body["group_name"]])
        return received.tolist()

    def destroy_weights_update_group(self, body: dict[str, Any]) -> None:
        """Leave a group; with NCCL this may wait for the others."""
        dist.destroy_process_group(self._groups.pop(body["group_name"]))
