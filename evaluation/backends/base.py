"""What every backend offers: build a source once, run it at several sizes, return the outputs.

A backend runs hostile code, so it never gets the expected outputs; comparing them is `evaluation.check`'s
work, in another process. Whatever a candidate does ends in a `Refusal` with a status and one sentence. What
the machine lacks (a compiler, a GPU) is the user's to put right and raises a `WarpsmithError` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from evaluation.plan import Plan
from evaluation.verdict import Refusal

NOTHING = 'extern "C" __global__ void nothing() {}'
"""The source of a kernel that does nothing, for warming up."""


@dataclass(frozen=True)
class Run:
    """One execution of a candidate: all launches of a plan, on one choice of sizes and inputs."""

    plan: Plan
    inputs: Mapping[str, np.ndarray]
    """Every buffer of role INPUT by name, in its declared dtype and shape (bfloat16 as uint16 patterns)."""


@dataclass(frozen=True)
class RunOutcome:
    """What the runs of one candidate left in their output buffers, in the order of the runs."""

    outputs: tuple[dict[str, np.ndarray] | None, ...]
    """Per run, every buffer of role OUTPUT by name, in its declared dtype and shape (bfloat16 as uint16).
    `None`: it would have been too much work for this backend, at a size far larger than the others."""
    repeats: tuple[tuple[int, dict[str, np.ndarray]], ...] = ()
    """The index of a run that was done again, and what it left then, which must be as right."""
    elsewhere: tuple[tuple[int, dict[str, np.ndarray]], ...] = ()
    """The same of runs on another backend, which are no repeats: both must be right."""


class Built(Protocol):
    """A compiled candidate; opaque outside its backend and reusable for any number of runs."""

    @property
    def path(self) -> Path:
        """The compiled object."""
        ...


class Backend(Protocol):
    """A place where candidates run. One instance serves one process at a time."""

    name: str

    def warm_up(self) -> None:
        """Start what the first candidate would have to wait for (otherwise it starts when needed)."""
        ...

    def build(self, source: str, kernels: Sequence[str]) -> Built | Refusal:
        """Apply the static rules and compile.

        Refuses with REJECTED (a rule, or a name in `kernels` that the source does not define as
        `extern "C" __global__`), COMPILE_ERROR (also a compilation over its limits) or UNSUPPORTED; every
        later status means that the source compiled.
        """
        ...

    def run(self, built: Built, runs: Sequence[Run]) -> RunOutcome | Refusal:
        """Run every plan in order, in one confined process, each on fresh buffers.

        Output and scratch buffers start as poison (NaN bytes), never as old contents. Refuses with the status
        of the first run that fails: LAUNCH_ERROR, FAULT, TIMEOUT, CHEATED or UNSUPPORTED, or COMPILE_ERROR
        for what only loading shows (an undefined function, for one).
        """
        ...

    def rehearse(self, built: Built, plan: Plan) -> Refusal | None:
        """What goes wrong in `plan` at sizes too large to be run or compared, as far as it can be told.

        Called with the plan at the shipped sizes, once the candidate ran at the check sizes.
        """
        ...

    def close(self) -> None:
        """Remove what was built and end the processes that the backend started."""
        ...
