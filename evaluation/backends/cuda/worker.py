"""The process that runs candidates on the GPU: it copies images of memory in, launches, and copies them out.

It decides nothing. An image holds every buffer of a run with guard zones around them, made by the parent,
which also compares what comes back. So a candidate's process never holds an expected value, and what
it says about itself does not count. A fault leaves the context unusable: the worker reports it and ends.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pycuda.driver as cuda

from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.backends.cuda.device import Device, LaunchRefused, Module

_WIPE = 0xFF
_FIRST_BYTES = 1 << 20


class Runner:
    """Runs requests in one context, reusing one block of device memory."""

    def __init__(self, device: Device, descriptor: int) -> None:
        self._device = device
        self._descriptor = descriptor
        self._host = np.empty(0, dtype=np.uint8)
        self._arena: Any = None
        self._arena_bytes = 0
        self._make_room(_FIRST_BYTES)

    def answer(self, request: Mapping[str, Any], cubin: bytes) -> dict[str, Any]:
        """Run all executions of a request; the first failure ends it."""
        self._share(request["shared_bytes"])
        try:
            module = self._device.load(cubin, request["kernels"])
            self._execute(module, request["executions"], request["size"])
        except LaunchRefused as error:
            return {"status": "launch_error", "reason": str(error)}
        except cuda.MemoryError:
            return {"status": "no_memory", "reason": "the GPU has too little memory left", "fatal": True}
        except cuda.Error as error:
            return {"status": "fault", "reason": _plain(error), "fatal": True}
        return {"status": "ok"}

    def _share(self, size: int) -> None:
        """Map the shared memory anew when the parent has grown it."""
        if self._host.size != size:
            self._host = np.frombuffer(mmap.mmap(self._descriptor, size), dtype=np.uint8)

    def _make_room(self, size: int) -> None:
        """Have at least `size` bytes of wiped device memory."""
        if self._arena_bytes < size:
            self._arena = None  # free the old block first
            self._arena = cuda.mem_alloc(size)
            self._arena_bytes = size
            cuda.memset_d8_async(int(self._arena), _WIPE, size, self._device.stream)

    def _execute(self, module: Module, executions: Sequence[Mapping[str, Any]], size: int) -> None:
        """Copy all images in, launch everything in order, copy the images out behind them, and wipe."""
        self._make_room(size)
        base = int(self._arena)
        launches = [
            module.bind(launch, addresses(launch["arguments"], base + execution["start"]))
            for execution in executions
            for launch in execution["launches"]
        ]
        stream = self._device.stream
        cuda.memcpy_htod_async(base, self._host[:size], stream)
        for launch in launches:
            launch(stream)
        stream.synchronize()
        cuda.memcpy_dtoh_async(self._host[size : 2 * size], base, stream)
        cuda.memset_d8_async(base, _WIPE, size, stream)
        stream.synchronize()


def addresses(arguments: Sequence[Sequence[Any]], base: int) -> list[int | float]:
    """Arguments as numbers: `["buffer", offset]` counts from `base`, `["value", x]` stands for itself."""
    return [value + base if kind == "buffer" else value for kind, value in arguments]


def _plain(error: Exception) -> str:
    """CUDA's own words: `cuStreamSynchronize failed: an illegal ...` without the name of the call."""
    return str(error).rpartition("failed: ")[2].partition(" - ")[0][:200]


def main(channel: Channel, memory: int, message: Mapping[str, Any]) -> None:
    """Serve requests until the parent closes, or a candidate breaks the context."""
    try:
        device = Device(message["device"])
        runner = Runner(device, memory)
        channel.send(device.description())
    except (cuda.Error, OSError) as error:
        channel.send({"failure": str(error)[:300]})
        return
    while True:
        try:
            request, cubin = channel.receive()
            answer = runner.answer(request, cubin)
            channel.send(answer)
        except ChannelClosedError:
            return
        if answer.get("fatal"):
            os._exit(0)
