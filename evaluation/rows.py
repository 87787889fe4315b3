"""The one reader of JSONL: how a file is cut into lines, and values that crossed a room read from them.

Lines end with a newline and nothing else: JSON may hold U+2028 and its like in a string, where `splitlines`
would cut. A byte-order mark at the head of the file is dropped.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen

Row = TypeVar("Row", bound=Frozen)

_CHUNK = 1 << 20
"""Bytes of a line too long that are passed over at a time."""


@dataclass(frozen=True)
class Line:
    """One line of a file, without its newline."""

    number: int
    """From 1."""
    content: bytes
    """What was kept of it: no more than was asked for."""
    length: int
    """Bytes of the whole line."""

    @property
    def whole(self) -> bool:
        """Whether all of it was kept."""
        return len(self.content) == self.length


def scan(path: Path, longest: int = -1) -> Iterator[Line]:
    """The lines of a file that are not blank, one at a time, so that memory does not grow with the file.

    A line of more than `longest` bytes comes cut, and the rest of it is never held. Raises OSError.
    """
    with path.open("rb") as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            file.seek(0)
        number = 0
        while content := file.readline(longest + 1 if longest >= 0 else -1):
            number += 1
            kept, length = content.removesuffix(b"\n"), len(content)
            last = content
            if longest >= 0 and len(kept) > longest:
                kept = kept[:longest]
                while not last.endswith(b"\n") and (last := file.readline(_CHUNK)):
                    length += len(last)
            length -= last.endswith(b"\n")
            if kept.strip() or length > len(kept):
                yield Line(number, kept, length)


def read_rows(kind: type[Row], path: Path) -> list[Row]:
    """All rows of a file in order; blank lines are passed over.

    Raises:
        WarpsmithError: if the file cannot be read, or naming the first line that is not of this kind.
    """
    return [_validated(kind, line, path, number) for number, line in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a JSONL file that are not blank, each with its number from 1.

    Raises:
        WarpsmithError: if the file cannot be read.
    """
    try:
        return [(line.number, line.content.decode()) for line in scan(path)]
    except OSError as error:
        raise WarpsmithError(f"the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WarpsmithError(f"the file {path} is not UTF-8 text") from None


def _validated(kind: type[Row], line: str, path: Path, number: int) -> Row:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        if first["type"] == "json_invalid":
            what = "it is not JSON"
        raise WarpsmithError(f"line {number} of {path} is no {kind.__name__.lower()} ({what})") from None
