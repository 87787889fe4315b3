"""From rows to what is kept of them: twins dropped, splits kept apart, programs run confined.

Rows are taken in windows, so that memory does not grow with a source and all workers have something to do;
what comes out does not depend on their number. Programs of one graph are tried one after the other until one
of them makes a problem, which the others repeat. A held-out source keeps those that differ in sizes alone: a
benchmark stays whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from data.generator import Generated
from data.soundness import sound, unsound
from data.sources.identity import identity_of, operators_in
from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.rows import (
    Item,
    Kept,
    LeftOut,
    Outcome,
    Program,
    Question,
    Reason,
    Row,
    RowError,
    SameAs,
    Twin,
)
from data.splits import split_of, split_of_question
from data.table import measure, unfit
from evaluation.problem import Problem, Split
from evaluation.programs.program import problem_from_program
from evaluation.programs.variants import SURVEY_LIMIT
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import ProgramError

_WINDOW = 128
"""Rows that are looked at together."""
_TRIES = 2
"""Programs of one graph that are refused before others like them are not tried any more."""


@dataclass(frozen=True)
class _Known:
    """A row that was taken already."""

    id: str
    split: Split
    label: str | None = None
    """The answer, of a question."""


@dataclass
class _Entry:
    """A row of a window until it is known what becomes of it."""

    row: Row
    item: Item
    id: str
    split: Split
    graph: str
    """Of a program its text's identity, until its graph is known."""
    outcome: Outcome | None = None


class Intake:
    """Takes in sources one after the other. Held-out ones should come first: what comes later gives way."""

    def __init__(
        self, confined: ReferencePool, trusted: ReferencePool, options: Options, *, judge: bool = True
    ) -> None:
        """Programs from outside run in `confined`, the generator's own in `trusted`.

        `judge` is whether problems are also tried with answers that leave out the work, and measured.
        """
        self._confined, self._trusted, self._options, self._judge = confined, trusted, options, judge
        self._texts: dict[str, _Known] = {}
        self._graphs: dict[str, _Known] = {}
        self._refused: dict[str, list[str]] = {}
        self._ids: set[str] = set()
        self._stems: dict[str, int] = {}

    def know(self, problem: Problem) -> None:
        """Take note of a problem of our own that was drawn elsewhere: no row may repeat it."""
        identity, known = (
            identity_of(Program(problem.id, problem.shipped.program)),
            _Known(problem.id, problem.split),
        )
        self._ids.add(problem.id)
        self._texts.setdefault(identity, known)
        self._graphs.setdefault(self._trusted.graph(problem.shipped.program, SURVEY_LIMIT) or identity, known)

    def take(self, kind: Kind, location: Location, split: Split | None) -> Iterator[Outcome]:
        """What becomes of every row of a source, in order. Raises SourceError, also in between.

        `split` is where all rows belong; none goes by the operators of each.
        """
        suffix = self._suffix(location.stem)
        rows = iter(kind.read(location, self._options))
        while window := list(islice(rows, _WINDOW)):
            taken = [self._enter(kind, row, split, suffix) for row in window]
            waiting = [entry for entry in taken if isinstance(entry, _Entry)]
            self._find_graphs(waiting)
            self._settle(waiting, location, whole=kind.answers or split is Split.HELDOUT)
            for entry in taken:
                outcome = entry.outcome if isinstance(entry, _Entry) else entry
                assert outcome is not None
                yield outcome

    def _suffix(self, stem: str) -> str:
        """What sets the ids of a source apart from those of an earlier one with the same name."""
        number = self._stems[stem] = self._stems.get(stem, 0) + 1
        return "" if number == 1 else f"-{number}"

    def _enter(self, kind: Kind, row: Row | LeftOut, split: Split | None, suffix: str) -> _Entry | Outcome:
        """What a row means, if it can be used and is no repetition."""
        if isinstance(row, LeftOut):
            return row
        try:
            item = kind.item(row, self._options)
            identity, operators = identity_of(item), operators_in(item)
        except RowError as error:
            return LeftOut.of(row, error.reason, error.sentence)
        except ProgramError as error:
            return LeftOut.of(row, Reason.NOT_A_PROGRAM, str(error))
        settings = self._options.settings
        if split is None and isinstance(item, Question):
            split = split_of_question(identity, settings)
        entry = _Entry(row, item, _id(item, suffix), split or split_of(operators, settings), identity)
        label = item.label if isinstance(item, Question) else None
        if identity in self._texts:
            return _repeated(entry, self._texts[identity], SameAs.TEXT, label)
        if entry.id in self._ids:
            sentence = f"its id {entry.id} was given to another row before; give it one of its own"
            return LeftOut.of(row, Reason.TAKEN_ID, sentence)
        if not isinstance(item, Question) and not operators:
            sentence = (
                "no operator was recognised in the program, so it has no split; call torch functions by name"
            )
            return LeftOut.of(row, Reason.NAMELESS, sentence)
        self._texts[identity] = _Known(entry.id, entry.split, label)
        self._ids.add(entry.id)
        return entry

    def _find_graphs(self, entries: list[_Entry]) -> None:
        def graph(entry: _Entry) -> str | LeftOut:
            try:
                if isinstance(entry.item, Generated):
                    return self._trusted.graph(entry.item.problem.shipped.program, SURVEY_LIMIT)
                return (
                    self._confined.graph(entry.item.text, SURVEY_LIMIT)
                    if isinstance(entry.item, Program)
                    else ""
                )
            except ProgramError as error:
                return LeftOut.of(entry.row, Reason.DOES_NOT_RUN, str(error))

        for entry, found in zip(entries, self._confined.map(graph, entries), strict=True):
            if isinstance(found, LeftOut):
                entry.outcome = found
            else:
                entry.graph = found or entry.graph

    def _settle(self, entries: Iterable[_Entry], location: Location, *, whole: bool) -> None:
        """Decide on what is new; `whole` keeps what differs from another row of its split in sizes alone."""
        groups: dict[str, list[_Entry]] = {}
        for entry in entries:
            known = self._graphs.get(entry.graph)
            if entry.outcome is None and known and not (whole and known.split is entry.split):
                entry.outcome = _repeated(entry, known, SameAs.GRAPH)
            elif entry.outcome is None:
                groups.setdefault(entry.id if whole else entry.graph, []).append(entry)
        self._confined.map(lambda group: self._build_one_of(group, location), groups.values())
        for group in groups.values():
            for entry in group:
                if isinstance(entry.outcome, Kept):
                    self._graphs.setdefault(entry.graph, _Known(entry.id, entry.split))
                elif isinstance(entry.outcome, LeftOut) and not whole:
                    self._refused.setdefault(entry.graph, []).append(entry.outcome.sentence)

    def _build_one_of(self, group: list[_Entry], location: Location) -> None:
        """Try programs of one graph until one makes a problem; the rest repeat it."""
        refused = list(self._refused.get(group[0].graph, ()))
        kept: _Known | None = None
        for entry in group:
            if kept is not None:
                entry.outcome = _repeated(entry, kept, SameAs.GRAPH)
                continue
            if len(refused) >= _TRIES:
                sentence = f"not tried: others of the same graph were refused ({refused[0]})"
                entry.outcome = LeftOut.of(entry.row, Reason.NO_TASK, sentence)
                continue
            entry.outcome = self._build(entry, location)
            if isinstance(entry.outcome, LeftOut):
                refused.append(entry.outcome.sentence)
            else:
                kept = _Known(entry.id, entry.split)

    def _build(self, entry: _Entry, location: Location) -> Kept | LeftOut:
        item = entry.item
        if isinstance(item, Question):
            return self._keep(entry, replace(item, id=entry.id))
        try:
            problem = (
                self._drawn(item) if isinstance(item, Generated) else self._described(entry, item, location)
            )
        except RowError as error:
            return LeftOut.of(entry.row, error.reason, error.sentence)
        return self._keep(entry, problem)

    def _described(self, entry: _Entry, item: Program, location: Location) -> Problem:
        """A program from outside as a problem. Raises RowError."""
        options = self._options
        try:
            problem = problem_from_program(
                item.text,
                id=entry.id,
                source=location.path.name,
                level=item.level,
                split=entry.split,
                seed=options.seed,
                reference=self._confined,
            )
            reason = unsound(problem, self._confined) if self._judge else None
        except ProgramError as error:
            raise RowError(Reason.NO_TASK, str(error)) from None
        if reason is not None:
            raise RowError(Reason.UNSOUND, reason)
        return problem

    def _drawn(self, item: Generated) -> Problem:
        """A problem of our own, hardened where it must be. Raises RowError."""
        idle = self._options.settings.refuse_idle_inputs
        found = sound(item, self._trusted, refuse_idle_inputs=idle) if self._judge else item
        if isinstance(found, str):
            raise RowError(Reason.UNSOUND, found)
        return found.problem

    def _keep(self, entry: _Entry, item: Problem | Question) -> Kept | LeftOut:
        measured = None
        if isinstance(item, Problem) and self._judge:
            pool = self._trusted if isinstance(entry.item, Generated) else self._confined
            try:
                measured = measure(item, pool)
                reason = unfit(item, measured)
            except ProgramError as error:
                reason = str(error)
            if reason is not None:
                return LeftOut.of(entry.row, Reason.NO_TASK, reason)
        metadata = {} if isinstance(entry.item, Generated) else entry.item.metadata
        response = item.solution if isinstance(item, Question) else ""
        return Kept(entry.row.place, item, entry.split, entry.graph, measured, response, metadata)


def _repeated(entry: _Entry, known: _Known, same: SameAs, label: str | None = None) -> Twin | LeftOut:
    """What becomes of a row that is the same as one before."""
    if label != known.label and same is SameAs.TEXT:
        sentence = f"{known.id} asks the same and has another answer"
        return LeftOut.of(entry.row, Reason.CONTRADICTION, sentence)
    if known.split is not entry.split:
        sentence = (
            f"{known.id} has the {same} and belongs to {known.split}; this row would belong to {entry.split}"
        )
        return LeftOut.of(entry.row, Reason.CONTAMINATED, sentence)
    metadata = entry.item.metadata if isinstance(entry.item, Program) else {}
    return Twin(entry.row.place, same, known.id, metadata)


def _id(item: Item, suffix: str) -> str:
    if isinstance(item, Generated):
        return item.problem.id
    named = isinstance(item, Program) and item.named
    return item.id if named else f"{item.id}{suffix}"
