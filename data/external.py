"""Problems from the extra sources of a profile: `data.sources`, with the night's seed and splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data.prepared import Refusal
from data.settings import DataSettings
from data.sources.counts import Counts
from data.sources.intake import Intake
from data.sources.kind import Options
from data.sources.registry import parse_source
from data.sources.rows import Kept, LeftOut, Twin
from data.table import Measured
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split
from evaluation.reference.pool import ReferencePool


@dataclass(frozen=True)
class External:
    """What the extra sources hold."""

    problems: tuple[Problem, ...]
    measured: tuple[Measured, ...]
    """One per problem, in the same order."""
    refused: tuple[Refusal, ...]
    duplicates: dict[str, int]
    """Programs dropped because another says the same, by source."""
    rows: dict[str, dict[str, Any]]
    """How many rows of each source became what."""


def read_external(
    settings: DataSettings,
    night: str,
    generated: Sequence[Problem],
    confined: ReferencePool,
    trusted: ReferencePool,
    say: Callable[[str], None],
) -> External:
    """Read every source of the settings; a problem gets the split of its operators and the night's sizes.

    A program that is among the generated ones, or came in an earlier source, is a duplicate.

    Raises WarpsmithError if a source cannot be read; a bad row is refused with its reason.
    """
    intake = Intake(confined, trusted, Options(settings=settings, night=night))
    found: list[tuple[Problem, Measured]] = []
    refused: list[Refusal] = []
    duplicates: dict[str, int] = {}
    rows: dict[str, dict[str, Any]] = {}
    for problem in generated if settings.sources else ():
        intake.know(problem)
    for source in settings.sources:
        kind, location = parse_source(str(source))
        split = Split.TRAIN if location.kind == "generator" else None
        counts = Counts()
        for outcome in intake.take(kind, location, split):
            counts.add(outcome)
            if isinstance(outcome, LeftOut):
                refused.append(Refusal("row", outcome.place, outcome.sentence, outcome.text))
            elif isinstance(outcome, Kept):
                if not isinstance(outcome.item, Problem) or outcome.measured is None:
                    raise WarpsmithError(
                        f"source {source} holds questions; a night's `data.sources` take programs"
                    )
                found.append((outcome.item, outcome.measured))
            elif isinstance(outcome, Twin):
                name = location.path.name
                duplicates[name] = duplicates.get(name, 0) + 1
        rows[str(source)] = counts.summary()
        say(f"{source}: {counts.line()}")
    return External(
        problems=tuple(problem for problem, _ in found),
        measured=tuple(values for _, values in found),
        refused=tuple(refused),
        duplicates=dict(sorted(duplicates.items())),
        rows=rows,
    )
