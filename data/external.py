"""Problems from the extra sources of a profile: `data.sources`, with the night's seed and splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data.prepared import Refusal
from data.questions import Asked
from data.settings import DataSettings, Task
from data.sources.counts import Counts
from data.sources.intake import Intake
from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.registry import parse_source
from data.sources.rows import Kept, LeftOut, Question, Twin
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
    asked: tuple[Asked, ...] = ()
    """The questions, with their splits."""


def read_external(
    settings: DataSettings,
    night: str,
    generated: Sequence[Problem],
    confined: ReferencePool,
    trusted: ReferencePool,
    say: Callable[[str], None],
) -> External:
    """Read every source of the settings; a problem gets the split of its operators and the night's sizes, a
    question that of its kind.

    A program that is among the generated ones, or came in an earlier source, is a duplicate.

    Raises WarpsmithError if a source cannot be read; a bad row is refused with its reason.
    """
    intake = Intake(confined, trusted, Options(settings=settings, night=night))
    found: list[tuple[Problem, Measured]] = []
    asked: list[Asked] = []
    refused: list[Refusal] = []
    duplicates: dict[str, int] = {}
    rows: dict[str, dict[str, Any]] = {}
    for problem in generated if settings.sources else ():
        intake.know(problem)
    for source, kind, location in _in_order(settings.sources):
        _require_wanted(source, kind, settings.task)
        split = kind.split if kind.questions or kind.name == "generator" else None
        counts = Counts()
        for outcome in intake.take(kind, location, split):
            counts.add(outcome)
            if isinstance(outcome, LeftOut):
                refused.append(Refusal("row", outcome.place, outcome.sentence, outcome.text))
            elif isinstance(outcome, Kept):
                if isinstance(outcome.item, Question):
                    asked.append(Asked.of(outcome, source, kind.whole_numbers))
                elif outcome.measured is not None:
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
        asked=tuple(asked),
    )


def _in_order(sources: Sequence[str]) -> list[tuple[str, Kind, Location]]:
    """The sources, held-out questions first: what comes later and repeats them gives way."""
    found = [(str(source), *parse_source(str(source))) for source in sources]
    return sorted(found, key=lambda one: not (one[1].questions and one[1].split is Split.HELDOUT))


def _require_wanted(source: str, kind: Kind, task: Task) -> None:
    """Raise WarpsmithError for a source of something that this night is not about."""
    if not (task.has_questions if kind.questions else task.has_kernels):
        holds, takes = ("questions", "programs") if kind.questions else ("programs", "questions")
        raise WarpsmithError(
            f"source {source} holds {holds}; with `data.task: {task}` a night's `data.sources` take {takes}"
        )
