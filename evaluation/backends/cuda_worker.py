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

import pycuda.driver as cuda
import torch

from evaluation.backends.channel import Channel, ChannelClosedError
from evaluation.backends.cuda_device import Device, LaunchRefused, Module

_WIPE = 0xFF
_FIRST_BYTES = 1 << 20


class Runner:
    """Runs requests in one context, reusing one block of device memory."""

    def __init__(self, device: Device, descriptor: int) -> None:
        self._device = device
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None
        self._host = torch.empty(0, dtype=torch.uint8)
        self._arena = torch.empty(_FIRST_BYTES, dtype=torch.uint8, device="cuda")
        self._arena.fill_(_WIPE)

    def warm_up(self) -> None:
        """Do once what every request does, so that the first is as fast as the others."""
        host = torch.zeros(4096, dtype=torch.uint8)
        with torch.cuda.stream(self._device.torch_stream):
            self._arena[:4096].copy_(host)
            host.copy_(self._arena[:4096])
            self._arena.fill_(_WIPE)
        self._device.torch_stream.synchronize()

    def answer(self, request: Mapping[str, Any], cubin: bytes) -> dict[str, Any]:
        """Run all executions of a request; the first failure ends it."""
        self._share(request["shared_bytes"])
        try:
            module = self._device.load(cubin, request["kernels"])
            self._execute(module, request["executions"], request["size"])
        except LaunchRefused as error:
            return {"status": "launch_error", "reason": str(error)}
        except torch.OutOfMemoryError:
            return {"status": "launch_error", "reason": "the GPU has too little memory left"}
        except (cuda.Error, RuntimeError) as error:
            return {"status": "fault", "reason": _plain(error), "fatal": True}
        return {"status": "ok"}

    def _share(self, size: int) -> None:
        """Map the shared memory anew when the parent has grown it."""
        if self._memory is None or len(self._memory) != size:
            self._host = torch.empty(0, dtype=torch.uint8)
            self._memory = mmap.mmap(self._descriptor, size)
            self._host = torch.frombuffer(self._memory, dtype=torch.uint8)

    def _execute(self, module: Module, executions: Sequence[Mapping[str, Any]], size: int) -> None:
        """Copy all images in, launch everything in order, copy the images out behind them, and wipe."""
        if self._arena.numel() < size:
            self._arena = torch.empty(0, dtype=torch.uint8, device="cuda")
            self._arena = torch.empty(size, dtype=torch.uint8, device="cuda").fill_(_WIPE)
        images = self._arena[:size]
        base = images.data_ptr()
        launches = [
            module.bind(launch, addresses(launch["arguments"], base + execution["start"]))
            for execution in executions
            for launch in execution["launches"]
        ]
        with torch.cuda.stream(self._device.torch_stream):
            images.copy_(self._host[:size], non_blocking=True)
            for launch in launches:
                launch(self._device.stream)
            self._host[size : 2 * size].copy_(images)
            images.fill_(_WIPE)


def addresses(arguments: Sequence[Sequence[Any]], base: int) -> list[int | float]:
    """Arguments as numbers: `["buffer", offset]` counts from `base`, `["value", x]` stands for itself."""
    return [value + base if kind == "buffer" else value for kind, value in arguments]


def _plain(error: Exception) -> str:
    """CUDA's own words, without torch's advice."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.rpartition("failed: ")[2].removeprefix("CUDA error: ")[:200]


def main(channel: Channel, memory: int, message: Mapping[str, Any]) -> None:
    """Serve requests until the parent closes, or a candidate breaks the context."""
    try:
        device = Device(message["device"])
        runner = Runner(device, memory)
        runner.warm_up()
        channel.send(device.description())
    except (cuda.Error, RuntimeError, OSError) as error:
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
