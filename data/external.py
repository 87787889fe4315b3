"""Problems from the extra sources of a profile: read, split, measured, and told apart from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data.prepared import Refusal
from data.settings import DataSettings
from data.soundness import unsound
from data.sources import Reading, read_sources
from data.splits import split_of
from data.table import Measured, measure
from evaluation.problem import Problem
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import ProgramError, program_identity

_NAMELESS = "no operator was recognised in the program, so it has no split; call torch functions by name"


@dataclass(frozen=True)
class External:
    """What the extra sources hold."""

    problems: tuple[Problem, ...]
    measured: tuple[Measured, ...]
    """One per problem, in the same order."""
    refused: tuple[Refusal, ...]
    duplicates: dict[str, int]
    """Programs dropped because another says the same, by source."""


def read_external(
    settings: DataSettings,
    night: str,
    generated: Sequence[Problem],
    reference: ReferencePool,
    say: Callable[[str], None],
) -> External:
    """Read every source of the settings; a problem gets the split of its operators and the night's sizes.

    A program that is among the generated ones, or came in an earlier source, is a duplicate.

    Raises WarpsmithError if a source cannot be read; a bad row is refused with its reason.
    """
    found: list[Problem] = []
    refused: list[Refusal] = []
    duplicates: Counter[str] = Counter()
    for path in settings.sources:
        reading = read_sources(path, reference, f"{settings.seed}/{night}")
        left_out = _refusals(reading)
        found += [_with_split(item, settings) for item in reading.problems if item.operators]
        refused += left_out
        duplicates[path.name] += reading.duplicates
        say(
            f"{path}: {reading.rows} rows, {len(reading.problems)} programs, "
            f"{reading.duplicates} duplicates, {len(left_out)} refused"
        )
    unique = _drop_duplicates(found, generated, duplicates)
    measured, failed = _measure(unique, reference)
    return External(
        problems=tuple(problem for problem, _ in measured),
        measured=tuple(values for _, values in measured),
        refused=(*refused, *failed),
        duplicates=dict(sorted(duplicates.items())),
    )


def _with_split(problem: Problem, settings: DataSettings) -> Problem:
    return problem.model_copy(update={"split": split_of(problem.operators, settings)})


def _refusals(reading: Reading) -> list[Refusal]:
    rows = [Refusal("row", item.name, item.reason, item.text) for item in reading.refused]
    nameless = [item for item in reading.problems if not item.operators]
    return rows + [Refusal("problem", item.id, _NAMELESS, item.shipped.program) for item in nameless]


def _drop_duplicates(
    problems: Sequence[Problem], generated: Sequence[Problem], duplicates: Counter[str]
) -> list[Problem]:
    """The first problem of each program; the others are added to `duplicates` by source."""
    if not problems:
        return []
    seen = {program_identity(problem.shipped.program) for problem in generated}
    kept = []
    for problem in problems:
        identity = program_identity(problem.shipped.program)
        if identity in seen:
            duplicates[problem.source] += 1
        else:
            seen.add(identity)
            kept.append(problem)
    return kept


def _measure(
    problems: Sequence[Problem], reference: ReferencePool
) -> tuple[list[tuple[Problem, Measured]], list[Refusal]]:
    """Run every reference, confined; a problem is refused if that fails, or if its check can be fooled."""

    def attempt(problem: Problem) -> Measured | Refusal:
        try:
            reason = unsound(problem, reference)
            if reason is None:
                return measure(problem, reference)
        except ProgramError as error:
            reason = str(error)
        return Refusal("problem", problem.id, reason, problem.shipped.program)

    results = list(zip(problems, reference.map(attempt, problems), strict=True))
    measured = [(problem, result) for problem, result in results if isinstance(result, Measured)]
    return measured, [result for _, result in results if isinstance(result, Refusal)]
