"""One source as problems, for whoever judges programs as published: nothing is split, measured or tried."""

from __future__ import annotations

from dataclasses import dataclass

from data.settings import DataSettings
from data.sources.counts import Counts
from data.sources.intake import Intake
from data.sources.kind import Options
from data.sources.registry import parse_source
from data.sources.rows import Kept, LeftOut, Outcome
from evaluation.problem import Problem, Split
from evaluation.reference.pool import ReferencePool


@dataclass(frozen=True)
class Reading:
    """What a source holds, in its order."""

    outcomes: tuple[Outcome, ...]
    """One for every row."""

    @property
    def counts(self) -> Counts:
        """How many rows became what."""
        counts = Counts()
        for outcome in self.outcomes:
            counts.add(outcome)
        return counts

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The programs that became problems."""
        kept = (outcome.item for outcome in self.outcomes if isinstance(outcome, Kept))
        return tuple(item for item in kept if isinstance(item, Problem))

    @property
    def refused(self) -> tuple[LeftOut, ...]:
        """The rows that did not, with reasons."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, LeftOut))


def read_source(source: str, reference: ReferencePool, night: str = "0") -> Reading:
    """Read a source, `KIND:PATH` or a path alone; programs are run in `reference`'s confined workers.

    All problems get the split `heldout`. The sizes that they are judged at are drawn from `night`. Raises
    `WarpsmithError` when the source itself cannot be read.
    """
    options = Options(settings=DataSettings(), night=night)
    intake = Intake(reference, reference, options, judge=False)
    kind, location = parse_source(source)
    return Reading(tuple(intake.take(kind, location, Split.HELDOUT)))
