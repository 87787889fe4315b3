"""Rows that come with an answer: it is taken over into our contract and judged; what is correct stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data.extension_answers import Answer, take_answers
from data.solutions import Evaluator
from data.sources.rows import ANSWER, Kept, LeftOut, Outcome, Twin, quoted
from evaluation.extension.outcome import Refused
from evaluation.problem import Problem


def judged(outcomes: Iterable[Outcome], evaluator: Evaluator, seed: int) -> Iterator[Outcome]:
    """What becomes of rows once their answers are judged, in their order.

    A row whose program came before is kept, too, if its answer is another one. All rows of the source are
    held until the last is read: one answer may come a thousand times.
    """
    rows = list(outcomes)
    kept = {row.item.id: row for row in rows if isinstance(row, Kept) and isinstance(row.item, Problem)}
    places: list[int] = []
    answers: list[Answer] = []
    for at, row in enumerate(rows):
        first = kept.get(_problem_of(row))
        if first is not None and isinstance(first.item, Problem) and isinstance(row, Kept | Twin):
            places.append(at)
            answers.append(Answer.of(first.item, row.metadata[ANSWER]))
            rows[at] = replace(first, place=row.place, metadata={})
    found = take_answers(answers, evaluator, seed=seed)
    for at, answer, result in zip(places, answers, found, strict=True):
        row = rows[at]
        assert isinstance(row, Kept)
        if isinstance(result, Refused):
            rows[at] = LeftOut(row.place, result.reason, str(result), quoted(answer.code))
        else:
            rows[at] = replace(row, response=result.response)
    yield from rows


def _problem_of(row: Outcome) -> str:
    """Id of the problem that a row asks, if it asks one."""
    if isinstance(row, Kept):
        return row.item.id
    return row.of if isinstance(row, Twin) and ANSWER in row.metadata else ""
