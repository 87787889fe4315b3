"""The `cuda` backend: NVRTC to a cubin, PyCUDA to load and launch it, in a process that may die.

Everything is decided in this process; what runs the candidate only copies memory and launches. A fault or a
hang costs that process alone: another, already warm, takes its place, and a new one is forked behind it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from evaluation.answer import kernel_names
from evaluation.backends.base import NOTHING, Built, Run, RunOutcome
from evaluation.backends.cuda import cubin as inspection
from evaluation.backends.cuda import rules as includes
from evaluation.backends.cuda.arguments import typed_launches
from evaluation.backends.cuda.channel import ChannelClosedError
from evaluation.backends.cuda.heap import keep_freed_memory
from evaluation.backends.cuda.image import FILLS, Layout, equal, lay_out, unwritten
from evaluation.backends.cuda.lock import DeviceLock
from evaluation.backends.cuda.nvrtc import Compiled, CompilerProcess, find_toolkit, options
from evaluation.backends.cuda.process import Job, Purpose, Worker, Zygote
from evaluation.backends.cuda.ptx import Kernel
from evaluation.errors import EvaluatorFailure
from evaluation.plan import Plan
from evaluation.scratch import Scratch
from evaluation.settings import EvaluationSettings
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status

Result = TypeVar("Result")
Outputs: TypeAlias = dict[str, np.ndarray]
"""What a run left in its output buffers, by name."""

_BATCH_BYTES = 64 << 20
"""Images of one request to a worker; a single larger run makes a request of its own."""
_MAX_IMAGE_BYTES = 4 << 30
_SEAT_SECONDS = 0.02
"""How long a candidate keeps its seat on the GPU: one that hangs must not keep the others waiting."""
_HOLD_UP_SECONDS = 2.0
"""Longer than the driver holds a process up while it takes down the contexts of others."""


@dataclass(frozen=True)
class CudaBuilt:
    """A compiled candidate: its cubin, and the kernels that it launches by their names in a plan."""

    path: Path
    cubin: bytes
    kernels: dict[str, Kernel]

    @property
    def parameter_types(self) -> dict[str, list[str]]:
        """PTX types of each kernel's parameters, by its name in the module."""
        return {kernel.symbol: [one.type for one in kernel.parameters] for kernel in self.kernels.values()}


@dataclass(frozen=True)
class _Execution:
    """One of the two executions of a run: the image it starts from, and what the worker is told."""

    layout: Layout
    before: np.ndarray
    launches: list[dict[str, Any]]


class CudaBackend:
    """Judges candidates on one GPU; implements `evaluation.backends.base.Backend`."""

    name = "cuda"

    def __init__(
        self,
        settings: EvaluationSettings,
        scratch_dir: Path | None = None,
        *,
        device: int = 0,
        debug: bool = False,
    ) -> None:
        """Start nothing yet, except that a missing NVRTC is noticed here.

        Args:
            settings: limits of one candidate.
            scratch_dir: where cubins are kept; a folder of our own, removed on close, if there is none.
            device: index of the GPU.
            debug: let the worker write to stderr.
        """
        keep_freed_memory()
        self.settings = settings
        self._scratch = Scratch("warpsmith-cuda-") if scratch_dir is None else None
        self._folder = self._scratch.path if self._scratch else Path(scratch_dir or ".")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._toolkit = find_toolkit()
        self._compiler = CompilerProcess(
            self._toolkit, seconds=float(settings.compile_cpu_s), memory_mb=settings.memory_mb
        )
        self._lock = DeviceLock(device)
        self._device = device
        self._debug = debug
        self._worker: Worker | None = None
        self._standby: Worker | None = None

    @cached_property
    def zygote(self) -> Zygote:
        """The process that workers are forked from."""
        required = self.settings.require_confinement
        return Zygote(Purpose.CHECK, self._device, debug=self._debug, require_confinement=required)

    @cached_property
    def architecture(self) -> str:
        """What to compile for, as the GPU says."""
        return str(self._ready_worker().wait_until_ready()["architecture"])

    def build(self, source: str, kernels: Sequence[str]) -> CudaBuilt | Refusal:
        """Compile, or take the cubin from an earlier build, and inspect what came out."""
        refusal = includes.refuse(source)
        if refusal:
            return refusal
        prepared = kernel_names.prepared(plain(source), kernels)
        if isinstance(prepared, Refusal):
            return prepared
        text, names = prepared
        path = self._cubin_path(text, names)
        compiled = _read(path) or self._compiler.compile(text, self.architecture, list(names.values()))
        if isinstance(compiled, Refusal):
            return compiled
        if not path.exists():
            _write(path.with_suffix(".json"), json.dumps([compiled.ptx, dict(compiled.symbols)]).encode())
            _write(path, compiled.cubin)
        refusal = inspection.refuse(compiled, text)
        if refusal:
            return refusal
        found = inspection.kernels(compiled)
        if isinstance(found, Refusal):
            return found
        return CudaBuilt(path, compiled.cubin, {kernel: found[name] for kernel, name in names.items()})

    def run(self, built: Built, runs: Sequence[Run]) -> RunOutcome | Refusal:
        """Run every plan twice on fresh memory; the outputs are those of the first execution.

        Where the second left others, they must be as right.
        """
        assert isinstance(built, CudaBuilt)
        outputs: list[Outputs] = []
        repeats: list[tuple[int, Outputs]] = []
        for batch in _batches(runs):
            executions: list[_Execution] = []
            for run in batch:
                prepared = _prepare(run, built)
                if isinstance(prepared, Refusal):
                    return prepared
                executions += prepared
            result = believed(partial(self._execute, built, executions), self.settings.time_limit_s)
            if isinstance(result, Refusal):
                return result
            repeats += [(len(outputs) + index, second) for index, (_, second) in enumerate(result) if second]
            outputs += [first for first, _ in result]
        return RunOutcome(tuple(outputs), tuple(repeats))

    def warm_up(self) -> None:
        """Start the compiler, the worker and the one behind it, and wait for them."""
        self._ready_worker()
        self.build(NOTHING, ["nothing"])
        if self._standby:
            self._standby.wait_until_ready()

    def rehearse(self, built: Built, plan: Plan) -> Refusal | None:
        """Nothing yet."""
        return None

    def close(self) -> None:
        """End all processes and remove the cubins, if the folder is ours."""
        self._compiler.close()
        for worker in (self._worker, self._standby):
            if worker:
                worker.close()
        self._worker = self._standby = None
        if "zygote" in self.__dict__:
            self.zygote.close()
            del self.__dict__["zygote"]
        if self._scratch:
            self._scratch.close()

    def _cubin_path(self, text: str, names: Mapping[str, str]) -> Path:
        tools = self._toolkit
        settings = options(self.architecture, tools, text)
        key = json.dumps([settings, str(tools.library), text, sorted(names.values())])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.cubin"

    def _ready_worker(self) -> Worker:
        """The worker, warm, with another one warming up behind it."""
        while self._worker is None:
            worker, self._standby = self._standby, None
            try:
                if worker is not None:
                    worker.wait_until_ready()
                self._worker = worker or self.zygote.fork_ready(Job.CHECK)
            except ChannelClosedError:
                if worker is not None:
                    worker.close()
        if self._standby is None:
            self._standby = self.zygote.fork(Job.CHECK)
        return self._worker

    def _discard_worker(self) -> None:
        """Kill the worker; the next run takes the one that stands by."""
        if self._worker:
            self._worker.close()
        self._worker = None

    def _execute(
        self, built: CudaBuilt, executions: Sequence[_Execution], limit_s: float
    ) -> list[tuple[Outputs, Outputs | None]] | Refusal:
        """One request to the worker, and our judgement of the memory that it left behind."""
        worker = self._ready_worker()
        starts = np.cumsum([0, *(execution.layout.size for execution in executions)]).tolist()
        total = starts.pop()
        shared = np.frombuffer(worker.memory(2 * total), dtype=np.uint8)[: 2 * total]
        for start, execution in zip(starts, executions, strict=True):
            shared[start : start + execution.layout.size] = execution.before
        refusal = self._ask(
            worker,
            {
                "kernels": built.parameter_types,
                "executions": [
                    {"start": start, "launches": execution.launches}
                    for start, execution in zip(starts, executions, strict=True)
                ],
                "size": total,
            },
            built.cubin,
            limit_s,
        )
        if refusal:
            return refusal
        after = shared[total:].copy()
        shared[...] = 0  # the next candidate must not find these outputs
        images = [
            after[start : start + execution.layout.size]
            for start, execution in zip(starts, executions, strict=True)
        ]
        return _judge(executions, images)

    def _ask(self, worker: Worker, request: dict[str, Any], cubin: bytes, limit_s: float) -> Refusal | None:
        """Have the worker run it; whatever goes wrong is the candidate's doing, and may cost the worker."""
        try:
            with self._lock.share():
                worker.send(request, cubin)
                worker.wait(min(_SEAT_SECONDS, limit_s))
            answer, _ = worker.receive(limit_s)
        except TimeoutError:
            self._discard_worker()
            return Refusal(status=Status.TIMEOUT, reason=f"did not finish within {limit_s:g} s")
        except ChannelClosedError:
            self._discard_worker()
            return Refusal(status=Status.FAULT, reason="the process that ran the candidate died")
        if answer.get("status") == "ok":
            return None
        if answer.get("fatal"):
            self._discard_worker()
        if answer.get("status") == "no_memory":
            raise EvaluatorFailure(str(answer.get("reason"))[:500])
        status = Status.LAUNCH_ERROR if answer.get("status") == "launch_error" else Status.FAULT
        return Refusal(status=status, reason=str(answer.get("reason", "no reason given"))[:500])


def believed(attempt: Callable[[float], Result | Refusal], limit_s: float) -> Result | Refusal:
    """What `attempt` gives within `limit_s`; a timeout counts only if it happens twice, on two workers.

    The limit is by the clock, and the driver can hold up a sound candidate for half a second while it takes
    down the context of another; where many fail, twice in a row. So the second time lasts that out.
    """
    result = attempt(limit_s)
    if isinstance(result, Refusal) and result.status is Status.TIMEOUT:
        return attempt(max(limit_s, _HOLD_UP_SECONDS))
    return result


def _prepare(run: Run, built: CudaBuilt) -> list[_Execution] | Refusal:
    """Both executions of a run: the same inputs, but other fill bytes and another place in memory."""
    layout = lay_out(run.plan)
    if layout.size > _MAX_IMAGE_BYTES:
        reason = f"its buffers take {layout.size >> 20} MiB; at most {_MAX_IMAGE_BYTES >> 20} can be checked"
        return Refusal(status=Status.UNSUPPORTED, reason=reason)
    launches = typed_launches(run.plan, layout.offsets, built.kernels)
    if isinstance(launches, Refusal):
        return launches
    return [_Execution(layout, layout.image(run.inputs, fill), launches) for fill in FILLS]


def _batches(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs that share a request: as many as fit into _BATCH_BYTES, and at least one."""
    batch: list[Run] = []
    used = 0
    for run in runs:
        needed = 2 * len(FILLS) * lay_out(run.plan).size
        if batch and used + needed > _BATCH_BYTES:
            yield batch
            batch, used = [], 0
        batch.append(run)
        used += needed
    if batch:
        yield batch


def _judge(
    executions: Sequence[_Execution], after: Sequence[np.ndarray]
) -> list[tuple[Outputs, Outputs | None]] | Refusal:
    """Guard zones and inputs intact, every output written; then the outputs of both executions of each run.

    Those of the second only where they differ.
    """
    found: list[Outputs] = []
    for execution, image in zip(executions, after, strict=True):
        refusal = execution.layout.damage(execution.before, image)
        if refusal:
            return refusal
        found.append(execution.layout.outputs(image))
    pairs: list[tuple[Outputs, Outputs | None]] = []
    for first, second in zip(found[::2], found[1::2], strict=True):
        different = [name for name in first if not equal(first[name], second[name])]
        for name in different:
            refusal = unwritten(name, first[name], second[name])
            if refusal:
                return refusal
        pairs.append((first, second if different else None))
    return pairs


def _read(path: Path) -> Compiled | None:
    """What an earlier build has left at `path`, if there was one."""
    if not path.exists():
        return None
    ptx, symbols = json.loads(path.with_suffix(".json").read_text())
    return Compiled(ptx, path.read_bytes(), symbols)


def _write(path: Path, content: bytes) -> None:
    """Write by rename, so that another process never reads half a file."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).rename(path)
