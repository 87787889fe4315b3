"""Runs compiled candidates in the runner (`native/runner`): a confined server that forks for every run."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np

from evaluation import confine
from evaluation.backends.base import Run
from evaluation.backends.simt.line_server import LineServer, ServerDied
from evaluation.backends.simt.source import symbol_of
from evaluation.errors import EvaluatorFailure
from evaluation.plan import Buffer, BufferArgument, Plan, PlannedLaunch, Role
from evaluation.problem import DTYPE_BYTES, Tensor, numpy_dtype
from evaluation.settings import EvaluationSettings
from evaluation.toolchain import NATIVE, artifact, compile_program, find_compiler
from evaluation.verdict import Refusal, Status

_NONE: Mapping[str, frozenset[int]] = MappingProxyType({})
_ALIGNMENT = 64  #: of each buffer in the data file
_SERVER_CPU_SECONDS = 86_400
#: STATUS, kernel, block, thread, steps, message; see native/runner/main.cpp.
_REPORT = re.compile(
    r"([a-z_]+)\t(\w*)\t(-?\d+ -?\d+ -?\d+)\t(-?\d+ -?\d+ -?\d+)\t(\d{1,20})\t(.*)", re.DOTALL | re.ASCII
)
_BAD_NEWS = (
    Status.FAULT,
    Status.WRONG,
    Status.TIMEOUT,
    Status.LAUNCH_ERROR,
    Status.COMPILE_ERROR,
    Status.REJECTED,
    Status.UNSUPPORTED,
)
_ADDRESS_SPACE_MB = 16 << 20  #: of the server; a rehearsal maps far more than there is
_FILLS = (1, 2, 3)  #: of memory in a rehearsal: zeros, usual numbers, any bits; see native/runner/poison.h
_REHEARSAL_SECONDS = 2.0
_MOST = 20  #: budgets that a run may use up in all
_MOST_OF_SLOW, _SECONDS_OF_SLOW = 4, 5.0  #: the same where it may be too much work
_TOLD_BY_SIZES = (Status.LAUNCH_ERROR, Status.FAULT, Status.WRONG)
_MAX_BUFFERS, _MAX_LAUNCHES, _MAX_ARGUMENTS = 255, 64, 64  #: as in native/runner
_BUILD = [
    "-std=c++17",
    "-O2",
    "-fno-pie",
    "-no-pie",
    "-fno-exceptions",
    "-fno-stack-protector",
    "-fno-strict-aliasing",
    "-rdynamic",
]


def runner(preferred: str | None) -> Path:
    """The runner's executable, built on first use."""
    compiler = find_compiler(preferred)

    def build(folder: Path) -> None:
        sources = sorted(str(path) for path in (NATIVE / "runner").glob("*.cpp"))
        compile_program(
            compiler, [*_BUILD, *sources, "-o", str(folder / "runner"), "-ldl"], "the simt runner"
        )

    key = [*_BUILD, (NATIVE / "shim" / "math_names.def").read_text()]
    return artifact("runner", compiler, key, NATIVE / "runner", build) / "runner"


class Order(StrEnum):
    """In which order blocks, warps and lanes come."""

    ASCENDING = "ascending"
    DESCENDING = "descending"  #: the last block and the last thread come first
    SHUFFLED = (
        "shuffled"  #: drawn anew all the time, several blocks by turns, broken off where threads synchronise
    )


@dataclass(frozen=True)
class Variant:
    """How a run shows what CUDA leaves open. The same variant always gives the same result."""

    seed: int = 0
    """Of what memory and lanes hold that nobody wrote, of where buffers lie, and of the shuffled order."""
    order: Order = Order.ASCENDING
    stop: int = 0
    """In the shuffled order, before which of its atomics (and flags) a thread may wait for long, from 0."""
    slow: bool = False
    """The run may be too much work, and is soon given up."""
    patient: bool = False
    """Threads run to their ends one after the other, however long that takes."""


@dataclass(frozen=True)
class Report:
    """What a run that went well says of itself."""

    steps: int
    contended: bool
    """Threads met at atomics or flags with nothing to say which comes first; another order may matter."""


class Unfinished(Refusal):
    """The run went on, and used up all the steps or the time that it may take."""


class KernelRunner:
    """Runs one plan at a time. Not thread-safe."""

    def __init__(self, settings: EvaluationSettings, scratch: Path) -> None:
        self._settings = settings
        self._scratch = scratch
        self._data = scratch / "buffers"
        self._program = runner(settings.compiler)
        self._server = self._start()

    def run(
        self, built: Path, run: Run, variant: Variant, restricted: Mapping[str, frozenset[int]] = _NONE
    ) -> tuple[dict[str, np.ndarray], Report] | Refusal:
        """Run all launches of a plan on fresh buffers; returns the outputs and what else is known.

        `restricted` are the positions of the parameters that are `__restrict__`, by kernel.
        """
        plan, budget, seconds = run.plan, self._settings.access_budget, self._settings.time_limit_s
        most = budget * (_MOST_OF_SLOW if variant.slow else _MOST)
        budget = most if variant.patient else budget
        seconds = min(seconds, _SECONDS_OF_SLOW) if variant.slow else seconds
        if len(plan.buffers) > _MAX_BUFFERS or len(plan.launches) > _MAX_LAUNCHES:
            return Refusal(
                status=Status.UNSUPPORTED, reason="the plan has too many buffers or launches for the CPU"
            )
        offsets = self._write_inputs(run)
        words = f"{budget} {most} {seconds:.6f} {self._settings.memory_mb} 0"
        words += f" {variant.seed} {variant.order} {variant.stop}"
        report = self._ask(self._request(built, words, plan, offsets, restricted), seconds)
        if isinstance(report, Refusal):
            return report.model_copy(update={"reason": _named(report.reason, plan)})
        return self._read_outputs(plan.buffers, offsets), report

    def rehearse(self, built: Path, plan: Plan) -> Refusal | None:
        """What goes wrong in samples of a plan too large to be run, and comes from its sizes alone.

        See native/runner/rehearsal.h: a fault counts if it comes in the same way whatever memory holds.
        """
        if len(plan.buffers) > _MAX_BUFFERS or len(plan.launches) > _MAX_LAUNCHES:
            return None
        first = None
        for fill in _FILLS:
            words = f"{self._settings.access_budget} 0 {_REHEARSAL_SECONDS} 0 {fill} 0 ascending 0"
            request = self._request(built, words, plan, [0] * len(plan.buffers))
            found = self._ask(request, _REHEARSAL_SECONDS)
            if not isinstance(found, Refusal) or found.status not in _TOLD_BY_SIZES:
                return None
            if found.status is Status.LAUNCH_ERROR:
                return found
            first = first or found
            if found != first:
                return None
        return first

    def _request(
        self,
        built: Path,
        words: str,
        plan: Plan,
        offsets: Sequence[int],
        restricted: Mapping[str, frozenset[int]] = _NONE,
    ) -> str:
        lines = [f"run {built} {self._data} {words}"]
        lines += [_buffer_line(buffer, offset) for buffer, offset in zip(plan.buffers, offsets, strict=True)]
        index = {buffer.tensor.name: position for position, buffer in enumerate(plan.buffers)}
        lines += [_launch_line(launch, index, restricted.get(launch.kernel, ())) for launch in plan.launches]
        return "\n".join(lines) + "\nend\n"

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def _start(self) -> LineServer:
        argv = confine.command(
            [str(self._program)],
            writable=self._scratch,
            readable=[*confine.SYSTEM_FOLDERS, self._program.parent],
            cpu_seconds=_SERVER_CPU_SECONDS,
            memory_mb=_ADDRESS_SPACE_MB,  # a run limits itself to what the settings say
            file_mb=self._settings.file_mb,
            compiler=self._settings.compiler,
        )
        return LineServer(argv, cwd=self._scratch, environment={"LC_ALL": "C"})

    def _write_inputs(self, run: Run) -> list[int]:
        """Lay the buffers out in the data file and write the inputs; returns each buffer's offset."""
        offsets, position = [], 0
        with self._data.open("wb") as file:
            for buffer in run.plan.buffers:
                offsets.append(position)
                if buffer.role is Role.INPUT:
                    file.seek(position)
                    file.write(_input_bytes(buffer.tensor, run.inputs[buffer.tensor.name]))
                if buffer.role is not Role.SCRATCH:
                    position += -(-buffer.tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
            file.truncate(max(position, 1))
        return offsets

    def _read_outputs(self, buffers: tuple[Buffer, ...], offsets: list[int]) -> dict[str, np.ndarray]:
        outputs = {}
        with self._data.open("rb") as file:
            for buffer, offset in zip(buffers, offsets, strict=True):
                if buffer.role is Role.OUTPUT:
                    tensor = buffer.tensor
                    data = os.pread(file.fileno(), tensor.nbytes, offset)
                    outputs[tensor.name] = (
                        np.frombuffer(data, numpy_dtype(tensor.dtype)).reshape(tensor.shape).copy()
                    )
        return outputs

    def _ask(self, request: str, seconds: float) -> Report | Refusal:
        """Send a run to the server; returns what it reports, or why it failed.

        A server that died (no kernel can reach it) is replaced and asked once more.
        """
        for _ in range(2):
            try:
                status, size, used = self._server.ask(request, 10 * seconds + 60.0).split()
                report = self._server.read_bytes(int(size), 10.0).decode(errors="replace")
                return _interpret(int(status), report, float(used), seconds)
            except ServerDied:
                self._server.close()
                self._server = self._start()
        raise EvaluatorFailure("the process that runs kernels ended twice")


def too_slow(refusal: Refusal, expected: float, settings: EvaluationSettings) -> bool:
    """Whether a run ended because it is too much work: threads ended, or take as many steps as `expected`."""
    endless = refusal.status is Status.TIMEOUT and expected > _MOST_OF_SLOW * settings.access_budget
    return endless or (isinstance(refusal, Unfinished) and expected > 0)


def _input_bytes(tensor: Tensor, array: np.ndarray) -> bytes:
    data = np.ascontiguousarray(array)
    if data.nbytes != tensor.nbytes or data.dtype.itemsize != DTYPE_BYTES[tensor.dtype]:
        raise ValueError(
            f"the array for {tensor.name} does not have the declared shape {tensor.shape} and {tensor.dtype}"
        )
    return data.tobytes()


def _buffer_line(buffer: Buffer, offset: int) -> str:
    tensor = buffer.tensor
    return f"buffer {tensor.name} {buffer.role.value} {tensor.nbytes} {offset}"


def _launch_line(launch: PlannedLaunch, index: dict[str, int], restricted: Collection[int]) -> str:
    plain = [_argument(argument, index) for argument in launch.arguments]
    arguments = [
        "r" + word[1:] if at in restricted and word[0] == "b" and plain.count(word) > 1 else word
        for at, word in enumerate(plain)
    ]
    extents = " ".join(str(extent) for extent in (*launch.grid, *launch.block))
    return " ".join(
        [f"launch {symbol_of(launch.kernel)} {extents} {launch.shared_bytes} {len(arguments)}", *arguments]
    )


def _named(reason: str, plan: Plan) -> str:
    """The runner's words with the kernels' own names."""
    for kernel in plan.kernels:
        reason = reason.replace(symbol_of(kernel), kernel)
    return reason


def _argument(argument: BufferArgument | int | float, index: dict[str, int]) -> str:
    if isinstance(argument, BufferArgument):
        return f"b{index[argument.buffer]}"
    return f"i{argument}" if isinstance(argument, int) else f"f{float(argument).hex()}"


def _interpret(wait_status: int, report: str, used: float, seconds: float) -> Report | Refusal:
    """Judge a run by how its process ended, by what it reported and by the CPU seconds that it used.

    The report comes from a process that ran the candidate's code, so it is believed only when it is bad news;
    `ok` merely means that the outputs are worth comparing. Two reports, one of them the kernel's own, are no
    report: an `ok` has no message.
    """
    if os.WIFSIGNALED(wait_status):
        return _killed(os.WTERMSIG(wait_status), used, seconds)
    found = _REPORT.fullmatch(report)
    status, kernel, block, thread, steps, message = found.groups() if found else ("",) * 6
    if status in ("ok", "ok_contended") and not message and os.WEXITSTATUS(wait_status) == 0:
        return Report(int(steps), status == "ok_contended")
    if status == "unfinished":
        return Unfinished(status=Status.TIMEOUT, reason=_place(kernel, block, thread) + _printable(message))
    if status not in _BAD_NEWS:
        return Refusal(status=Status.FAULT, reason="the kernel damaged the process that runs it")
    return Refusal(status=Status(status), reason=_place(kernel, block, thread) + _printable(message))


def _killed(number: int, used: float, seconds: float) -> Refusal:
    # SIGKILL is how the hard limit on CPU time ends a process that has blocked every other signal.
    late = number == signal.SIGKILL and used >= seconds
    if late or number in (signal.SIGPROF, signal.SIGALRM, signal.SIGXCPU):
        return Unfinished(status=Status.TIMEOUT, reason=f"the kernel ran longer than {seconds:g} s")
    if number == signal.SIGSYS:
        return Refusal(status=Status.CHEATED, reason="the kernel tried to call the operating system")
    return Refusal(status=Status.FAULT, reason=f"the kernel crashed (signal {number})")


def _place(kernel: str, block: str, thread: str) -> str:
    """`kernel k, block (0, 0, 0), thread (1, 0, 0): ` as far as it is known."""
    if not re.fullmatch(r"[A-Za-z_]\w*", kernel):
        return ""
    place = f"kernel {kernel}, block ({block.replace(' ', ', ')})"
    return f"{place}: " if "-1" in thread else f"{place}, thread ({thread.replace(' ', ', ')}): "


def _printable(message: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in message)[:400]
