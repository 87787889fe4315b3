"""Compiles a kernel against harness.h and runs its launches on fibers; nothing of the judge takes part."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import torch

from tests.benchmarks.judge.launches import Launch, Plan

HERE = Path(__file__).parent
#: Distributions that fortify by default take a jump from one fiber's stack to another for an attack.
_CXX = ("g++", "-std=c++17", "-w", "-U_FORTIFY_SOURCE")
_INCLUDE = re.compile(r"^\s*#\s*include.*$", re.MULTILINE)
_DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?(\w[\w ]*?)\s+(\w+)\[\];")


class Order(IntEnum):
    """In what order threads take turns."""

    FORWARD = 0  #: block after block, thread after thread, each until it waits
    BACKWARD = 1
    PRIORITIES = 2  #: four blocks at a time; whoever has the highest priority runs, priorities change rarely
    WARP_PRIORITIES = 3  #: the same, with a priority for a whole warp
    RANDOM = 4  #: a switch at every eighth access


class Ending(IntEnum):
    """How a trial ended."""

    DONE = 0
    CRASHED = 1  #: touched memory far outside its buffers, or divided by zero
    ENDLESS = 2
    DEADLOCK = 3
    OUTSIDE = 4  #: wrote next to a buffer, or into an input


@dataclass(frozen=True)
class Trial:
    """One run: everything that a right kernel's outputs do not depend on."""

    seed: int = 0
    order: Order = Order.FORWARD
    weak: bool = False
    """Whether stores reach other blocks late unless a fence stands behind them."""
    fill: int = 0
    """32-bit pattern of memory that nobody has written."""
    at_end: bool = True
    """Whether buffers end where memory ends; otherwise a megabyte lies behind each, as on a GPU."""


@dataclass(frozen=True)
class Job:
    """Launches on some inputs, to be tried some times; of `outputs` only shapes and dtypes count."""

    plan: Plan
    inputs: Mapping[str, torch.Tensor]
    outputs: Mapping[str, torch.Tensor]
    trials: Sequence[Trial]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave; no outputs where it did not come to its end."""

    ending: Ending
    outputs: Mapping[str, torch.Tensor]


class Interpreter:
    """Holds the compiled harness; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="judge-bench-")
        self.folder = Path(self._folder.name)
        self._harness = self.folder / "harness"
        subprocess.run(
            [
                *_CXX,
                "-O2",
                "-rdynamic",
                HERE / "harness.cpp",
                "-o",
                self._harness,
                "-Wl,--no-as-needed",
                "-ldl",
                "-lm",
            ],
            check=True,
        )

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def compile(self, text: str, name: str) -> Program | None:
        """The kernel as a program of its own, or nothing if g++ refuses it."""
        source, library = self.folder / f"{name}.cpp", self.folder / f"{name}.so"
        kernels = list(dict.fromkeys(re.findall(r"^// launch (\w+)<<<", text, re.MULTILINE)))
        table = ", ".join(
            f'{{"{kernel}", [](const Argument* a) {{ harness_call({kernel}, a); }}}}' for kernel in kernels
        )
        source.write_text(f'{_translated(text)}\nextern "C" Kernel harness_kernels[] = {{{table}}};\n')
        command = [
            *_CXX,
            "-O0",
            "-fPIC",
            "-fsanitize=thread",
            "-ffp-contract=off",
            "-include",
            HERE / "harness.h",
        ]
        built = subprocess.run([*command, "-c", source, "-o", f"{source}.o"], capture_output=True)
        if built.returncode:
            return None
        subprocess.run(["ld", "-shared", f"{source}.o", "-o", library], check=True)
        return Program(self._harness, library, tuple(kernels))


@dataclass(frozen=True)
class Program:
    """A compiled kernel."""

    harness: Path
    library: Path
    kernels: tuple[str, ...]

    def run(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        """The outcomes of every job's trials, in order up to the first that does not reach its end."""
        ask, answer = (self.library.with_suffix(end) for end in (".in", ".out"))
        ask.write_bytes(_numbers(len(jobs)) + b"".join(self._request(job) for job in jobs))
        subprocess.run([self.harness, self.library, ask, answer], check=True)
        return _outcomes(answer.read_bytes(), jobs)

    def remove(self) -> None:
        """Delete its files."""
        for file in self.library.parent.glob(f"{self.library.stem}.*"):
            file.unlink()

    def _request(self, job: Job) -> bytes:
        names = [*job.inputs, *job.outputs, *job.plan.scratch]
        parts = [_numbers(len(names))]
        for tensor in job.inputs.values():
            data = _bytes(tensor)
            parts.append(_numbers(0, len(data)) + data)
        parts += [_numbers(1, tensor.numel() * tensor.element_size()) for tensor in job.outputs.values()]
        for shape, dtype in job.plan.scratch.values():
            parts.append(_numbers(2, torch.empty(shape, dtype=getattr(torch, dtype), device="meta").nbytes))
        index = {name: number for number, name in enumerate(names)}
        parts.append(_numbers(len(job.plan.launches)))
        parts += [self._launch(launch, index) for launch in job.plan.launches]
        parts.append(_numbers(len(job.trials)))
        for trial in job.trials:
            parts.append(_numbers(trial.seed, trial.order, trial.weak, trial.fill, trial.at_end))
        return b"".join(parts)

    def _launch(self, launch: Launch, index: Mapping[str, int]) -> bytes:
        kernel = self.kernels.index(launch.kernel)
        head = _numbers(kernel, *launch.grid, *launch.block, launch.shared, len(launch.arguments))
        return head + b"".join(_argument(argument, index) for argument in launch.arguments)


def _argument(argument: str | int | float, index: Mapping[str, int]) -> bytes:
    if isinstance(argument, str):
        return _numbers(0, index[argument])
    return _numbers(1, argument) if isinstance(argument, int) else struct.pack("<qd", 1, argument)


def _outcomes(answer: bytes, jobs: Sequence[Job]) -> list[list[Outcome]]:
    found: list[list[Outcome]] = []
    offset = 0
    for job in jobs:
        found.append([])
        for _ in job.trials:
            if offset >= len(answer):
                return found
            ending = Ending(struct.unpack_from("<q", answer, offset)[0])
            offset += 8
            outputs = {}
            for name, like in job.outputs.items() if ending in (Ending.DONE, Ending.OUTSIDE) else ():
                size = like.numel() * like.element_size()
                flat = torch.frombuffer(bytearray(answer[offset : offset + size]), dtype=like.dtype)
                outputs[name] = flat.reshape(like.shape)
                offset += size
            found[-1].append(Outcome(ending, outputs))
    return found


def _translated(text: str) -> str:
    return _DYNAMIC.sub(r"\1* const \2 = (\1*)harness_dynamic_shared();", _INCLUDE.sub("", text))


def _numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
