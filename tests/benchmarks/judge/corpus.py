"""All programs and all right kernels of the benchmark."""

from __future__ import annotations

from itertools import chain

from tests.benchmarks.judge.kernels import (
    elementwise,
    generated,
    losses,
    norms,
    products,
    reductions,
    scans,
    windows,
)
from tests.benchmarks.judge.kernels.text import Kernel
from tests.benchmarks.judge.programs import PROGRAMS, Program


def programs() -> dict[str, Program]:
    """Every program by name."""
    return PROGRAMS | {program.name: program for program in generated.programs()}


def right_kernels() -> list[Kernel]:
    """Every right kernel, no text twice."""
    writers = (elementwise, reductions, norms, products, windows, scans, losses, generated)
    found = {
        (kernel.program, kernel.text): kernel for kernel in chain(*(writer.kernels() for writer in writers))
    }
    return list(found.values())
