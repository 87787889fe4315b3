"""simt before the GPU: it sees races, bounds and memory never written, which hardware hides most of the time.

Only a candidate that simt finds sound goes to the GPU, and the outputs of both are compared. Where simt
cannot tell (it lacks something that a GPU has, or its budget is too small) the GPU decides alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.backends.base import Backend, Built, Run, RunOutcome
from evaluation.plan import Plan
from evaluation.verdict import Refusal, Status

_CANNOT_TELL = frozenset({Status.REJECTED, Status.COMPILE_ERROR, Status.UNSUPPORTED, Status.TIMEOUT})
"""What simt says of candidates that it is no judge of, once a GPU's compiler has taken them."""


@dataclass(frozen=True)
class CascadeBuilt:
    """A candidate compiled for the GPU, and for the CPU where that is possible."""

    last: Built
    first: Built | None

    @property
    def path(self) -> Path:
        """The GPU's compiled object."""
        return self.last.path


class CascadeBackend:
    """Judges by `first`, then by `last`; implements `evaluation.backends.base.Backend`. Owns both."""

    def __init__(self, first: Backend, last: Backend) -> None:
        self._first, self.last = first, last
        self.name = last.name

    def warm_up(self) -> None:
        """Start both."""
        self._first.warm_up()
        self.last.warm_up()

    def build(self, source: str, kernels: Sequence[str]) -> CascadeBuilt | Refusal:
        """Compile for the last backend, which decides what is legal, then for the first."""
        last = self.last.build(source, kernels)
        if isinstance(last, Refusal):
            return last
        first = self._first.build(source, kernels)
        return CascadeBuilt(last, None if isinstance(first, Refusal) else first)

    def run(self, built: Built, runs: Sequence[Run]) -> RunOutcome | Refusal:
        """The first backend's refusal, or what the last one gives; the outputs of both must be right."""
        assert isinstance(built, CascadeBuilt)
        seen = self._first.run(built.first, runs) if built.first is not None else None
        if isinstance(seen, Refusal) and seen.status not in _CANNOT_TELL:
            return seen
        outcome = self.last.run(built.last, runs)
        if isinstance(outcome, Refusal) or not isinstance(seen, RunOutcome):
            return outcome
        first = [(index, outputs) for index, outputs in enumerate(seen.outputs) if outputs is not None]
        return RunOutcome(outcome.outputs, (*outcome.repeats, *seen.repeats), tuple(first))

    def rehearse(self, built: Built, plan: Plan) -> Refusal | None:
        """What either backend finds wrong at the shipped sizes."""
        assert isinstance(built, CascadeBuilt)
        seen = self._first.rehearse(built.first, plan) if built.first is not None else None
        if seen is not None and seen.status not in _CANNOT_TELL:
            return seen
        return self.last.rehearse(built.last, plan)

    def close(self) -> None:
        """Close both backends."""
        self._first.close()
        self.last.close()
