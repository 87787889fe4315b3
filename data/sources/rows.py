"""A row of a source, on its way: as it was read, what it means, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from data.table import Measured
from evaluation.problem import Problem, Split

if TYPE_CHECKING:
    from data.generator import Generated

_QUOTED = 65536
"""Characters of a row that are kept with the reason for leaving it out."""


ANSWER = "answer"
"""Where a row's metadata has the answer that it came with."""


class Reason(StrEnum):
    """Why a row is left out, in few words; the sentence beside it says more."""

    TOO_LONG = "line too long"
    NOT_UTF8 = "not UTF-8"
    NOT_JSON = "not JSON"
    NOT_AN_OBJECT = "not an object"
    FIELD = "field missing or unusable"
    NOT_A_PROGRAM = "not a program"
    DOES_NOT_RUN = "does not run"
    NO_TASK = "no task for a kernel"
    NAMELESS = "no operator recognised"
    UNSOUND = "check can be fooled"
    TAKEN_ID = "id taken"
    CONTRADICTION = "contradicts itself or another row"
    CONTAMINATED = "also on the other side of a split"
    UNREADABLE = "source unreadable"


class SameAs(StrEnum):
    """How a row repeats an earlier one."""

    TEXT = "same text"  #: whatever its layout and variable names
    GRAPH = "same graph"  #: the same operators, at other sizes or otherwise written


class RowError(Exception):
    """A row cannot be used."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


@dataclass(frozen=True)
class Row:
    """One row as it was read."""

    place: str
    """The file's name and the row's number from 1, or the file's path in its folder."""
    name: str
    """What an id is made of, where the row gives none."""
    fields: dict[str, Any]
    """By column; of a file `text` and `path`."""
    text: str
    """The row itself, for a person."""


@dataclass(frozen=True)
class Program:
    """A row that holds a PyTorch program."""

    id: str
    text: str
    level: int = 1
    named: bool = False
    """Whether the row itself gives the id."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What else the row says, for whoever reads the prepared rows."""


@dataclass(frozen=True)
class Question:
    """A row that is answered by a text: a chat and the answer."""

    id: str
    messages: tuple[dict[str, str], ...]
    label: str
    metadata: dict[str, Any] = field(default_factory=dict)
    solution: str = ""
    """A whole response with the right answer, where the source knows one."""


Item: TypeAlias = "Program | Question | Generated"
"""What a row means."""


@dataclass(frozen=True)
class Kept:
    """A row that is used."""

    place: str
    item: Problem | Question
    split: Split
    graph: str
    """Hash by which it is told from others."""
    measured: Measured | None = None
    """What a problem's reference gave."""
    response: str = ""
    """A verified answer, of a row that came with one."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A row that is not used, and why."""

    place: str
    reason: StrEnum
    """A `Reason`, or that of an answer (`evaluation.extension.outcome`)."""
    sentence: str
    text: str
    """The row, or its beginning."""

    @classmethod
    def of(cls, row: Row, reason: Reason, sentence: str) -> LeftOut:
        """Leave out `row`."""
        return cls(row.place, reason, sentence, quoted(row.text))


@dataclass(frozen=True)
class Twin:
    """A row that repeats an earlier one, of whatever source."""

    place: str
    same: SameAs
    of: str
    """Id of the earlier one."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What else the row says."""


Outcome = Kept | LeftOut | Twin


def quoted(text: str, length: int | None = None) -> str:
    """A row's text for quarantine: its beginning, if it is long; `length` says how long it really is."""
    length = len(text) if length is None else length
    return text if length <= _QUOTED else f"{text[:_QUOTED]}... ({length} in all)"
