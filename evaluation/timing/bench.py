"""The process that times a candidate beside the reference, and the one that checks what it left behind.

Timing follows five rules: CUDA events on one stream; L2 overwritten at twice its size, and persisting lines
dropped, before every sample; a ring of input and output slots larger than L2, so that no address returns
soon; outputs and scratch poisoned before every sample; candidate and baselines in turn, on different inputs
of the same distribution, so that no expected value ever lies in this process's memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from statistics import median
from typing import Any

import pycuda.driver as cuda
import torch
from torch import Tensor

from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.backends.cuda.device import BoundLaunch, Device, LaunchRefused, Module
from evaluation.reference.trial import Content, Run
from evaluation.timing import peaks as cuda_peaks
from evaluation.timing.gpu_reference import GpuReference
from evaluation.timing.lend import Borrower, Lender, offsets

_POISON = 0xFF
_MIN_SLOTS, _MAX_SLOTS = 2, 64
_CONTENTS = 8
"""Differently drawn contents; further slots repeat them at other addresses."""
_MAX_FLUSHES = 64
_JUDGED_BYTES = 8 << 30
"""Expected outputs that the judge keeps for the next candidates."""
_BASELINE_CONTENTS = 3
_BASELINE_SEED = 1 << 40
"""Added to the seed of the inputs that the baselines run on."""


class Bench:
    """Times one problem's candidates on one GPU."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._torch_stream = torch.cuda.ExternalStream(device.stream.handle)
        self._lender = Lender()
        self._flush = torch.empty(2 * device.l2_bytes, dtype=torch.uint8, device="cuda")
        self._events: list[Any] = []
        self._baselines: dict[str, Callable[[int], Any]] = {}
        self._slots: list[dict[str, Tensor]] = []
        self._held: list[dict[str, Tensor]] = []
        self._own: list[str] = []
        self._launches: list[list[BoundLaunch]] = []
        self._flushes = 1

    def prepare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load a program: a ring of inputs for candidates, another for the baselines."""
        self._release()
        reference = GpuReference(request["program"], request["seed"], tf32=request["tf32"])
        contents = [reference.draw(request["seed"])]
        size = sum(value.nbytes for value in contents[0].tensors.values()) + request["output_bytes"]
        slots = request.get("slots") or min(
            max(ceil(2 * self._device.l2_bytes / size), _MIN_SLOTS), _MAX_SLOTS
        )
        distinct = min(slots, _CONTENTS)
        contents += [reference.draw(request["seed"] + index) for index in range(1, distinct)]
        self._slots = [
            content.tensors if index < distinct else _copies(content)
            for index, content in _repeated(contents, slots)
        ]
        own = [
            reference.draw(request["seed"] + _BASELINE_SEED + index)
            for index in range(min(slots, _BASELINE_CONTENTS))
        ]
        ring = [
            reference.arranged(content.values if index < len(own) else _cloned(content.values))
            for index, content in _repeated(own, slots)
        ]
        for name in request["baselines"]:
            if name == "self":
                self._baselines[name] = self._candidate
            else:
                self._baselines[name] = _caller(reference.baseline(name), ring)
        self._warm_up_baselines()
        return {"slots": slots, "contents": distinct, "overhead_us": self._overhead_us()}

    def load(self, request: Mapping[str, Any], cubin: bytes) -> dict[str, Any]:
        """Load a candidate and run it once on every slot."""
        self._launches = []
        module = self._device.load(cubin, request["kernels"])
        self._own = [tensor["name"] for tensor in request["buffers"]]
        for slot in self._slots:
            for tensor in request["buffers"]:
                _make_room(slot, tensor["name"], tuple(tensor["shape"]), getattr(torch, tensor["dtype"]))
            self._launches.append([self._bind(module, launch, slot) for launch in request["launches"]])
        with torch.cuda.stream(self._torch_stream):
            self._candidate(0)
            self._device.stream.synchronize()
            self._flushes = self._flushes_to_hide(lambda: self._candidate(1 % len(self._slots)))
        return {"flushes": self._flushes}

    def sample(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Time the candidate and every baseline once on each of `slots`.

        Outputs of the samples in `held` stay on the GPU behind the first `keep` of those held before.
        """
        names = ["candidate", *self._baselines]
        pairs = self._event_pairs(len(names) * len(request["slots"]))
        del self._held[request["keep"] :]
        with torch.cuda.stream(self._torch_stream):
            for index, slot in enumerate(request["slots"]):
                for name in names:
                    start, stop = pairs[index * len(names) + names.index(name)]
                    self._one(name, slot, start, stop)
                    if name == "candidate" and index in request["held"]:
                        self._held.append({key: self._slots[slot][key].clone() for key in request["outputs"]})
        self._device.stream.synchronize()
        times: dict[str, list[float]] = {name: [] for name in names}
        for index, (start, stop) in enumerate(pairs):
            times[names[index % len(names)]].append(start.time_till(stop))
        return {"milliseconds": times}

    def collect(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Lend the held outputs to the judge, one after the other."""
        torch.cuda.empty_cache()  # the block comes from the driver, which sees only what torch gives back
        held = [outputs[name] for outputs in self._held for name in request["outputs"]]
        lent = self._lender.lend(held, self._device.stream)
        self._held = []
        return {"lent": lent}

    def _one(self, name: str, slot: int, start: Any, stop: Any) -> None:
        """Queue one timed run, with nothing between the flush and the last event that waits for the host."""
        if name == "candidate":
            for own in self._own:
                _bytes(self._slots[slot][own]).fill_(_POISON)
        self._device.reset_persisting_l2()
        for _ in range(self._flushes):
            self._flush.zero_()
        start.record(self._device.stream)
        if name == "candidate":
            self._candidate(slot)
        else:
            self._baselines[name](slot)
        stop.record(self._device.stream)

    def _candidate(self, slot: int) -> None:
        for launch in self._launches[slot]:
            launch(self._device.stream)

    def _bind(self, module: Module, launch: Mapping[str, Any], slot: Mapping[str, Tensor]) -> BoundLaunch:
        arguments = [
            slot[value].data_ptr() if kind == "buffer" else value for kind, value in launch["arguments"]
        ]
        return module.bind(launch, arguments)

    def _warm_up_baselines(self) -> None:
        with torch.no_grad(), torch.cuda.stream(self._torch_stream):
            for run in self._baselines.values():
                for _ in range(3 if run != self._candidate else 0):
                    run(0)
                self._device.stream.synchronize()

    def _flushes_to_hide(self, run: Callable[[], Any]) -> int:
        """How often to flush so that the GPU is busy until everything that is timed has been queued."""
        hosts = []
        for call in (run, *[lambda fn=fn: fn(0) for fn in self._baselines.values()]):
            begin = time.perf_counter()
            call()
            hosts.append(time.perf_counter() - begin)
            self._device.stream.synchronize()
        start, stop = self._event_pairs(1)[0]
        self._flush.zero_()
        start.record(self._device.stream)
        self._flush.zero_()
        stop.record(self._device.stream)
        self._device.stream.synchronize()
        return int(min(1 + ceil(1e3 * max(hosts) / max(start.time_till(stop), 1e-3)), _MAX_FLUSHES))

    def _overhead_us(self) -> float:
        """Microseconds between two events with nothing between them."""
        pairs = self._event_pairs(32)
        with torch.cuda.stream(self._torch_stream):
            for start, stop in pairs:
                self._flush.zero_()
                start.record(self._device.stream)
                stop.record(self._device.stream)
        self._device.stream.synchronize()
        return float(1e3 * median(start.time_till(stop) for start, stop in pairs))

    def _event_pairs(self, count: int) -> list[tuple[Any, Any]]:
        while len(self._events) < 2 * count:
            self._events.append(cuda.Event())
        return [(self._events[2 * index], self._events[2 * index + 1]) for index in range(count)]

    def _release(self) -> None:
        self._slots, self._launches, self._baselines = [], [], {}
        torch.cuda.empty_cache()


class Judge:
    """Knows what is expected of a problem, and has no candidate in its process."""

    def __init__(self) -> None:
        self._borrower = Borrower()
        self._results: dict[int, Run] = {}

    def prepare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load a program; contents are drawn when they are first asked for."""
        self._results = {}
        torch.cuda.empty_cache()
        self._reference = GpuReference(request["program"], request["seed"], tf32=False)
        self._seed = request["seed"]
        return {}

    def compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Largest error of each sample's outputs in the bench's memory, as a fraction of what is allowed."""
        contents, names = request["contents"], request["outputs"]
        sizes = [self._expected(contents[0]).outputs[name].nbytes for name in names]
        starts, size = offsets(sizes * len(contents))
        lent, remaining = self._borrower.view(request["lent"], size), iter(starts)
        found = []
        for content in contents:
            worst, expected = 0.0, self._expected(content)
            for name in names:
                start, like = next(remaining), expected.outputs[name]
                got = lent[start : start + like.nbytes].view(like.dtype).view(like.shape)
                worst = max(worst, expected.excess(name, got, request["tolerance"]))
            found.append(worst)
        return {"excess": found}

    def _expected(self, content: int) -> Run:
        if content not in self._results:
            if sum(run.nbytes for run in self._results.values()) > _JUDGED_BYTES:
                self._results = {}
                torch.cuda.empty_cache()
            self._results[content] = self._reference.results(self._reference.draw(self._seed + content))
        return self._results[content]


def _repeated(contents: Sequence[Content], count: int) -> Iterator[tuple[int, Content]]:
    """The contents in turn, `count` in all; one that comes again needs memory of its own."""
    return ((index, contents[index % len(contents)]) for index in range(count))


def _copies(content: Content) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in content.tensors.items()}


def _caller(function: Callable[..., Any], ring: Sequence[Sequence[Any]]) -> Callable[[int], Any]:
    def call(slot: int) -> Any:
        with torch.no_grad():
            return function(*ring[slot % len(ring)])

    return call


def _cloned(values: Sequence[Any]) -> list[Any]:
    return [value.clone() if isinstance(value, Tensor) else value for value in values]


def _make_room(slot: dict[str, Tensor], name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """A buffer of this shape in `slot`; the last candidate's serves again if it fits."""
    found = slot.get(name)
    if found is None or found.shape != shape or found.dtype != dtype:
        slot[name] = torch.empty(shape, dtype=dtype, device="cuda")


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8)


def main(channel: Channel, _memory: int, message: Mapping[str, Any]) -> None:
    """Serve as a bench or as a judge until the parent closes; neither uses memory shared with the parent."""
    try:
        device = Device(message["device"])
        torch.cuda.set_device(message["device"])
        worker: Bench | Judge = Bench(device) if message["job"] == "time" else Judge()
        channel.send(device.description())
    except (cuda.Error, RuntimeError, OSError) as error:
        channel.send({"failure": str(error)[:300]})
        return
    while True:
        try:
            request, cubin = channel.receive()
            answer = _answer(worker, request, cubin)
            channel.send(answer)
        except ChannelClosedError:
            return
        if answer.get("fatal"):
            os._exit(0)


def _answer(worker: Bench | Judge, request: Mapping[str, Any], cubin: bytes) -> dict[str, Any]:
    try:
        return {"status": "ok", **_dispatch(worker, request, cubin)}
    except LaunchRefused as error:
        return {"status": "launch_error", "reason": str(error)}
    except (torch.OutOfMemoryError, cuda.MemoryError):
        return {"status": "no_memory", "reason": "the GPU has too little memory", "fatal": True}
    except cuda.Error as error:
        return {"status": "fault", "reason": str(error), "fatal": True}
    except Exception as error:
        status = "fault" if "CUDA error" in str(error) else "failure"
        return {"status": status, "reason": f"{type(error).__name__}: {str(error)[:300]}", "fatal": True}


def _dispatch(worker: Bench | Judge, request: Mapping[str, Any], cubin: bytes) -> dict[str, Any]:
    if request["do"] == "peaks":
        return cuda_peaks.measure()
    if request["do"] == "prepare":
        return worker.prepare(request)
    if isinstance(worker, Judge):
        return worker.compare(request)
    if request["do"] == "load":
        return worker.load(request, cubin)
    return worker.sample(request) if request["do"] == "sample" else worker.collect(request)
