"""Published programs as problems: a JSONL file of rows, or a folder of Python files.

A row is a JSON object with the program's text under `pytorch` or `program`, and optionally its
difficulty from 1 to 4 under `difficulty` or `level`. Either dialect is read as published. Whatever
cannot become a problem is refused with its reason and kept, and repeated programs are counted, so that
the numbers of problems, refused rows and duplicates add up to the number of rows.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.programs.program import ProgramError, problem_from_program
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import detect_dialect, program_identity

#: Names under which a row may have its program.
PROGRAM_FIELDS = ("pytorch", "program")
_LEVEL_FIELDS = ("difficulty", "level")
_LEVELS = range(1, 5)
_LEVEL_FOLDER = re.compile(r"level_?([1-4])", re.IGNORECASE)


@dataclass(frozen=True)
class Refused:
    """A row that became no problem."""

    name: str
    """The file and the row's number (from 1), or the file's path in its folder."""
    reason: str
    text: str
    """The row or file as it was read."""


@dataclass(frozen=True)
class Reading:
    """What a source holds; iterating gives the problems and the refused rows, in the source's order."""

    rows: int
    """Rows or files read: problems, refused and duplicates together."""
    items: tuple[Problem | Refused, ...]
    duplicates: int
    """Rows whose program came before in the same source, whatever its layout and variable names."""

    def __iter__(self) -> Iterator[Problem | Refused]:
        return iter(self.items)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The programs that became problems."""
        return tuple(item for item in self.items if isinstance(item, Problem))

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The rows that did not, with reasons."""
        return tuple(item for item in self.items if isinstance(item, Refused))


@dataclass(frozen=True)
class _Row:
    """A row that is well formed, so far."""

    name: str
    id: str
    program: str
    level: int
    text: str


def read_sources(path: Path, reference: ReferencePool, seed: str = "") -> Reading:
    """Read a JSONL file or a folder of `.py` files; programs are run in `reference`'s confined workers.

    Problems get the split `heldout`; the caller assigns the real one. The sizes that they are judged at are
    drawn from `seed`. Raises `WarpsmithError` when `path` itself cannot be read.
    """
    rows = list(_rows(path))
    items: list[_Row | Refused] = []
    seen: set[str] = set()
    duplicates = 0
    for row in rows:
        identity = _identity(row)
        if isinstance(identity, Refused):
            items.append(identity)
        elif identity in seen:
            duplicates += 1
        else:
            seen.add(identity)
            items.append(row)
    built = reference.map(lambda item: _build(item, path.name, reference, seed), items)
    return Reading(len(rows), tuple(built), duplicates)


def _identity(row: _Row | Refused) -> str | Refused:
    """What tells the row's program from others, or why it is not one."""
    if isinstance(row, Refused):
        return row
    try:
        detect_dialect(row.program)
        return program_identity(row.program)
    except ProgramError as error:
        return Refused(row.name, str(error), row.text)


def _build(row: _Row | Refused, source: str, reference: ReferencePool, seed: str) -> Problem | Refused:
    if isinstance(row, Refused):
        return row
    try:
        return problem_from_program(
            row.program, id=row.id, source=source, level=row.level, seed=seed, reference=reference
        )
    except ProgramError as error:
        return Refused(row.name, str(error), row.text)


def _rows(path: Path) -> Iterable[_Row | Refused]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*.py") if file.is_file())
            contents = [(file.relative_to(path), file.read_bytes()) for file in files]
            return [_from_file(file, content) for file, content in contents]
        lines = path.read_bytes().removeprefix(BOM_UTF8).split(b"\n")
    except OSError as error:
        raise WarpsmithError(
            f"source {path} cannot be read ({error.strerror}); correct `data.sources`"
        ) from None
    return [_from_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _from_file(file: Path, content: bytes) -> _Row | Refused:
    name, text = file.as_posix(), content.decode("utf-8-sig", "replace")
    if "\ufffd" in text:
        return Refused(name, "the file is not valid UTF-8; convert it", text)
    found = _LEVEL_FOLDER.search(name)
    identity = re.sub(r"[^A-Za-z0-9]+", "-", name.removesuffix(".py")).strip("-")
    return _Row(name, identity, text, int(found.group(1)) if found else 1, text)


def _from_line(path: Path, number: int, line: bytes) -> _Row | Refused:
    name, text = f"{path.name}:{number}", line.decode("utf-8", "replace")
    if "\ufffd" in text and "\ufffd".encode() not in line:
        return Refused(name, "the row is not valid UTF-8; convert it", text)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Refused(name, f"the row is not valid JSON ({error}); write one object a line", text)
    if not isinstance(fields, dict):
        return Refused(name, f"the row is a JSON {type(fields).__name__}; it must be an object", text)
    program = _field(fields, PROGRAM_FIELDS)
    level = _field(fields, _LEVEL_FIELDS)
    if not isinstance(program, str):
        wrong = "has no program" if program is None else f"has a {type(program).__name__} for its program"
        return Refused(name, f"the row {wrong}; put its text under `pytorch` or `program`", text)
    if level is not None and (type(level) is not int or level not in _LEVELS):
        return Refused(name, f"the row's difficulty is {str(level)[:40]!r}; it must be 1, 2, 3 or 4", text)
    return _Row(name, f"{path.stem}-{number:05d}", program, level or 1, text)


def _field(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)
