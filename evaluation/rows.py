"""The one reader of JSONL: how a file is cut into lines, and values that crossed a room read from them.

Lines end with a newline and nothing else: JSON may hold U+2028 and its like in a string, where `splitlines`
would cut. A byte-order mark at the head of the file is dropped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen

Row = TypeVar("Row", bound=Frozen)


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
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WarpsmithError(f"the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WarpsmithError(f"the file {path} is not UTF-8 text") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _validated(kind: type[Row], line: str, path: Path, number: int) -> Row:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        if first["type"] == "json_invalid":
            what = "it is not JSON"
        raise WarpsmithError(f"line {number} of {path} is no {kind.__name__.lower()} ({what})") from None
