"""The reference pool: what a PyTorch program takes, gives and should compute, found out safely.

Reference programs are hostile until shown otherwise. Each call runs in a process of its own, forked
from a confined worker that has imported torch already (`evaluation.reference.fork_server`): no network,
no writing, no reading outside the Python installation, bounded time and memory. What comes
back is JSON and raw bytes, checked against what was asked for. Expected values are float64: the
program is run on double inputs, and the distance of its own float32 result is the baseline error.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from pydantic import Field

from evaluation.problem import DTYPE_BYTES, Dialect, Frozen, Instance, Tensor, numpy_dtype
from evaluation.reference import frames
from evaluation.reference.draw import Draw, Trial
from evaluation.reference.process import WorkerDied
from evaluation.reference.syntax import ProgramError, detect_dialect
from evaluation.reference.workers import ForkPool

__all__ = ["Description", "ProgramError", "ReferencePool", "Survey"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_REASON_CHARACTERS = 300
"""Longest reason taken from a program: its text is not ours."""
_WALL_FACTOR = 4.0
"""Wall-clock seconds allowed per CPU second: the machine may be busy, but a program that sleeps must end."""


class Survey(Frozen):
    """Shapes and work of a program, found without computing where possible."""

    inputs: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    flops: int = Field(ge=0, lt=1 << 63)
    """Floating-point operations, estimated from the operators."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors that a kernel sees."""
        return self.inputs + self.parameters + self.outputs


class Description(Frozen):
    """A program's tensors, and what would make it worthless as a task (compared over two seeds)."""

    dialect: Dialect
    inputs: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    finite: bool
    """Whether all outputs are finite."""
    constant: bool
    """Whether an output is the same everywhere, or the same for other inputs."""
    copies_input: bool
    """Whether an output equals an input element by element."""
    zero: bool
    """Whether an output is zero everywhere."""

    @property
    def degenerate(self) -> str | None:
        """Why the program is no task, or `None`."""
        flags = {
            "not finite": not self.finite,
            "zero everywhere": self.zero,
            "constant": self.constant,
            "a copy of an input": self.copies_input,
        }
        return next((name for name, raised in flags.items() if raised), None)


class ReferencePool(ForkPool):
    """Runs reference programs in confined workers. Thread-safe; as many calls at a time as workers."""

    def __init__(
        self,
        workers: int = 1,
        *,
        cpu_seconds: int = 20,
        memory_mb: int = 6144,
        reply_mb: int = 256,
        cache_mb: int = 256,
        require_confinement: bool = False,
    ) -> None:
        """Nothing starts before the first call.

        A call may use `cpu_seconds` of CPU, four times that of wall-clock time, and `memory_mb` of
        address space (torch alone maps about 1 GiB); its result may hold `reply_mb`. Trials are kept
        up to `cache_mb`. `require_confinement`: see `EvaluationSettings`.
        """
        super().__init__(
            "evaluation.reference.fork_server",
            "torch",
            workers=workers,
            cpu_seconds=cpu_seconds,
            wall_seconds=_WALL_FACTOR * cpu_seconds,
            memory_mb=memory_mb,
            reply_bytes=reply_mb << 20,
            require_confinement=require_confinement,
        )
        self._cache = _TrialCache(cache_mb << 20)

    def survey(
        self, programs: Sequence[str], limit: int | None = None, *, seconds: float | None = None
    ) -> list[Survey | ProgramError]:
        """Shapes and work of several versions of one program, in one process.

        `limit` is the number of input elements up to which a version may be run for real where
        shapes cannot be worked out without computing; `None` never runs one. `seconds` by the clock end it.
        """
        for program in programs:
            detect_dialect(program)
        jobs = [{"kind": "survey", "program": program, "limit": limit} for program in programs]
        return [_or_error(Survey.model_validate, reply) for reply, _ in self._call(jobs, seconds)]

    def describe(self, program: str) -> Description:
        """Tensors and degeneracy of `program`; raises `ProgramError` with the reason if it does not run."""
        (result,) = self.describe_many([program])
        if isinstance(result, ProgramError):
            raise result
        return result

    def describe_many(
        self, programs: Sequence[str], *, seconds: float | None = None
    ) -> list[Description | ProgramError]:
        """The same for several versions of one program, in one process (about 5 ms each)."""
        jobs = [
            {"kind": "describe", "program": program, "seeds": [_seed(program, 0), _seed(program, 1)]}
            for program in programs
        ]
        dialects = [detect_dialect(program) for program in programs]
        replies = [reply for reply, _ in self._call(jobs, seconds)]
        return [_description(*pair) for pair in zip(replies, dialects, strict=True)]

    def graph(self, program: str, limit: int) -> str:
        """Hash of the operators that `program` applies, the same at other sizes and under other names.

        Empty where it cannot be found without computing on more than `limit` elements. Raises `ProgramError`.
        """
        detect_dialect(program)
        ((reply, _),) = self._call([{"kind": "graph", "program": program, "limit": limit}])
        result = _or_error(_hash, reply)
        if isinstance(result, ProgramError):
            raise result
        return result

    def trial(self, instance: Instance, draw: Draw) -> Trial:
        """Inputs for `instance` and what should come out, a function of both arguments; see `trials`."""
        (result,) = self.trials([(instance, draw)])
        return result

    def trials(self, requests: Sequence[tuple[Instance, Draw]]) -> list[Trial]:
        """Inputs and what should come out for every draw, all in one process. Raises `ProgramError`."""
        keys = [(sha256(instance.program.encode()).hexdigest(), draw) for instance, draw in requests]
        found = {key: trial for key in keys if (trial := self._cache.get(key))}
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in found}
        drawn = self._drawn(list(missing.values()))
        for key, trial in zip(missing, drawn, strict=True):
            self._cache.put(key, trial)
            found[key] = trial
        return [found[key] for key in keys]

    def _drawn(self, requests: Sequence[tuple[Instance, Draw]]) -> list[Trial]:
        """`trials`, drawn anew."""
        jobs = [
            {"kind": "trial", "program": instance.program, "draw": _seeded(instance, draw)}
            for instance, draw in requests
        ]
        replies = self._call(jobs)
        blobs = iter(replies[0][1] if replies else [])
        found = []
        for (instance, _), (reply, _) in zip(requests, replies, strict=True):
            result = _or_error(partial(_trial, blobs=blobs, instance=instance), reply)
            if isinstance(result, ProgramError):
                raise result
            found.append(result)
        return found

    def ignoring(self, instance: Instance, first: Draw, second: Draw) -> dict[str, dict[str, np.ndarray]]:
        """The expected outputs of the first draw if one input were that of the second.

        By name of that input or parameter: what a kernel gives that does not read it. Raises `ProgramError`.
        """
        draws = [_seeded(instance, draw) for draw in (first, second)]
        ((reply, blobs),) = self._call([{"kind": "ignoring", "program": instance.program, "draws": draws}])
        wanted = [
            (tensor.name, _widened(output))
            for tensor in instance.inputs + instance.parameters
            for output in instance.outputs
        ]
        result = _or_error(lambda value: _arrays(value, blobs, wanted), reply)
        if isinstance(result, ProgramError):
            raise result
        return result

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Apply `function`, which calls this pool, to `items` in as many threads as there are workers."""
        with ThreadPoolExecutor(max(1, self._count)) as threads:
            return list(threads.map(function, items))

    def _call(
        self, jobs: list[dict[str, Any]], seconds: float | None = None
    ) -> list[tuple[Any, list[memoryview]]]:
        """Run `jobs` in one process; one reply for each, and for the last all arrays that came back."""
        if not jobs:
            return []
        try:
            status, data = self.exchange(jobs, seconds)
        except WorkerDied as error:
            raise ProgramError(f"the program was ended: {error}") from None
        _require_clean_exit(status, self._cpu_seconds)
        try:
            results, blobs = frames.unpack_reply(data)
        except frames.FrameError as error:
            raise ProgramError(f"the program ended its process or tampered with it ({error})") from None
        if len(results) != len(jobs):
            raise ProgramError("the program tampered with its process (a reply is missing)")
        return [(result, blobs) for result in results]


class _TrialCache:
    """The trials used last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._trials: OrderedDict[tuple[str, Draw], Trial] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, Draw]) -> Trial | None:
        with self._lock:
            if key in self._trials:
                self._trials.move_to_end(key)
            return self._trials.get(key)

    def put(self, key: tuple[str, Draw], trial: Trial) -> None:
        with self._lock:
            if key in self._trials:
                return
            self._trials[key] = trial
            self._held += trial.nbytes
            while self._held > self._limit and self._trials:
                self._held -= self._trials.popitem(last=False)[1].nbytes


def _seeded(instance: Instance, draw: Draw) -> tuple[str, int]:
    """A draw as a worker takes it: other programs draw other numbers under the same seed."""
    return draw.kind, _seed(instance.program, draw.seed)


def _seed(program: str, seed: int) -> int:
    """A seed for the generators inside the worker."""
    return int.from_bytes(sha256(f"{seed}:{program}".encode()).digest()[:7], "little")


def _require_clean_exit(status: int, cpu_seconds: int) -> None:
    if status == 0:
        return
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number in (signal.SIGXCPU, signal.SIGKILL):
        raise ProgramError(f"the program used more than {cpu_seconds} seconds of CPU time; make it smaller")
    known = signal.strsignal(number) if number else f"exit status {os.waitstatus_to_exitcode(status)}"
    raise ProgramError(f"the program ended its process ({known or number}); it must return its outputs")


def _or_error(build: Callable[[Any], Result], reply: Any) -> Result | ProgramError:
    """The value of a worker's reply, or the reason that it gives for having none.

    A program may have forged the reply: whatever `build` makes of it, it is the program's error.
    """
    if isinstance(reply, dict) and isinstance(reply.get("error"), str):
        return ProgramError(_printable(reply["error"]))
    try:
        return build(reply["value"])
    except Exception as error:
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        return ProgramError(f"the program's tensors cannot be used ({_printable(first)})")


def _description(reply: Any, dialect: Dialect) -> Description | ProgramError:
    return _or_error(lambda value: Description.model_validate(value | {"dialect": dialect}), reply)


def _hash(value: Any) -> str:
    """A hash, as it may come from a program: hexadecimal digits or nothing."""
    if not isinstance(value, str) or len(value) > 64 or set(value) - set("0123456789abcdef"):
        raise ValueError("it gave no hash")
    return value


def _printable(text: str) -> str:
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean[:_REASON_CHARACTERS]


def _trial(value: Any, blobs: Iterator[memoryview], instance: Instance) -> Trial:
    """Arrays from the next raw bytes, once names, shapes and dtypes are those that `instance` declares."""
    wanted = [("inputs", tensor) for tensor in instance.inputs + instance.parameters]
    wanted += [("expected", _widened(tensor)) for tensor in instance.outputs]
    for group in ("scale", "slack"):
        wanted += [(group, tensor.model_copy(update={"dtype": "float32"})) for tensor in instance.outputs]
    arrays = _arrays(value, list(islice(blobs, len(wanted))), wanted)
    return Trial(arrays.get("inputs", {}), arrays["expected"], arrays["scale"], arrays["slack"])


def _arrays(
    value: Any, blobs: Sequence[memoryview], wanted: Sequence[tuple[str, Tensor]]
) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by group and name, once all of them are there as wanted."""
    got = [(entry.pop("group"), Tensor.model_validate(entry)) for entry in value["tensors"]]
    if got != list(wanted) or len(blobs) != len(wanted):
        raise ValueError("its tensors are not those of its record")
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for (group, tensor), blob in zip(wanted, blobs, strict=True):
        arrays.setdefault(group, {})[tensor.name] = _array(tensor, blob)
    return arrays


def _widened(tensor: Tensor) -> Tensor:
    floating = tensor.dtype in ("float16", "bfloat16", "float32", "float64")
    return tensor.model_copy(update={"dtype": "float64"}) if floating else tensor


def _array(tensor: Tensor, blob: memoryview) -> np.ndarray:
    if len(blob) != tensor.numel * DTYPE_BYTES[tensor.dtype]:
        raise ValueError(f"tensor `{tensor.name}` has {len(blob)} bytes, not those of its shape")
    return np.frombuffer(bytes(blob), numpy_dtype(tensor.dtype)).reshape(tensor.shape)
