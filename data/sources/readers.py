"""The rows of a table, one at a time: JSONL, parquet, a folder of programs, or a set on the Hugging Face hub.

What cannot be a row is left out with its reason, and the rest goes on; memory does not grow with the source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from data.sources.location import Location
from data.sources.rows import LeftOut, Reason, Row, quoted
from evaluation.errors import WarpsmithError
from evaluation.rows import Line, scan

LONGEST_ROW = 4 << 20
"""Bytes of a line that is still looked at: a program may have 64 KiB, and a row a few texts more."""
_BATCH = 64
"""Rows of a parquet file that are held at a time."""


class SourceError(WarpsmithError):
    """A source as a whole cannot be read; others can."""


def read(location: Location) -> Iterator[Row | LeftOut]:
    """The rows of a source in order. Raises SourceError, at the first row or in between."""
    return islice(_all(location), location.first, location.end)


def _all(location: Location) -> Iterator[Row | LeftOut]:
    path = location.path
    try:
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix == ".parquet" and path.exists():
            yield from _parquet(path, location.stem)
        elif location.on_hub():
            yield from _hub(location.target, location.stem)
        else:
            yield from (_from_line(path, location.stem, line) for line in scan(path, LONGEST_ROW))
    except OSError as error:
        raise SourceError(
            f"source {location} cannot be read ({error.strerror or error}); correct it"
        ) from None


def _folder(path: Path) -> Iterator[Row | LeftOut]:
    """Every Python file, and the rows of every parquet file: a set as it is downloaded."""
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        name = file.relative_to(path)
        if file.suffix == ".py":
            yield _from_file(name, file)
        elif file.suffix == ".parquet":
            yield from _parquet(file, re.sub(r"\W+", "-", name.as_posix().removesuffix(".parquet")))


def _from_file(name: Path, file: Path) -> Row | LeftOut:
    place = name.as_posix()
    if file.stat().st_size > LONGEST_ROW:
        return LeftOut(place, Reason.TOO_LONG, _too_long(file.stat().st_size), "")
    content = file.read_bytes()
    text = content.decode("utf-8-sig", "replace")
    if _broken(text, content):
        return LeftOut(place, Reason.NOT_UTF8, "the file is not valid UTF-8; convert it", quoted(text))
    identity = re.sub(r"[^A-Za-z0-9]+", "-", place.removesuffix(".py")).strip("-")
    return Row(place, identity, {"text": text, "path": place}, text)


def _from_line(path: Path, stem: str, line: Line) -> Row | LeftOut:
    place, text = f"{path.name}:{line.number}", line.content.decode("utf-8", "replace")
    if not line.whole:
        return LeftOut(place, Reason.TOO_LONG, _too_long(line.length), quoted(text, line.length))
    if _broken(text, line.content):
        return LeftOut(place, Reason.NOT_UTF8, "the row is not valid UTF-8; convert it", quoted(text))
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        sentence = f"the row is not valid JSON ({error}); write one object a line"
        return LeftOut(place, Reason.NOT_JSON, sentence, quoted(text))
    if not isinstance(fields, dict):
        sentence = f"the row is a JSON {type(fields).__name__}; it must be an object"
        return LeftOut(place, Reason.NOT_AN_OBJECT, sentence, quoted(text))
    if _has_half_a_character(fields):
        sentence = "the row has half of a surrogate pair, which no file can hold; remove it"
        return LeftOut(place, Reason.NOT_UTF8, sentence, quoted(text))
    return Row(place, f"{stem}-{line.number:05d}", fields, text)


def _has_half_a_character(fields: dict[str, Any]) -> bool:
    """Whether JSON's escapes gave a text that cannot be written."""
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _broken(text: str, content: bytes) -> bool:
    """Whether decoding had to replace something."""
    return "\ufffd" in text and "\ufffd".encode() not in content


def _too_long(length: int) -> str:
    return f"the row has {length} bytes; it may have {LONGEST_ROW}"


def _parquet(path: Path, stem: str) -> Iterator[Row | LeftOut]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(_BATCH) for row in batch.to_pylist())
            yield from _numbered(rows, path.name, stem)
    except (ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path} is no parquet file that can be read ({reason:.200}); replace it") from None


def _hub(name: str, stem: str) -> Iterator[Row | LeftOut]:
    """A set of the hub, by its name; all of its splits in order."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise SourceError(
            f"source {name} is no file here, and without the package `datasets` it cannot be a name on the "
            "Hugging Face hub; correct the path or install `datasets`"
        ) from None
    try:
        splits = load_dataset(name, streaming=True)
        rows = (row for split in splits.values() for row in split)
        yield from _numbered(rows, name, stem)
    except Exception as error:  # whatever the library, the network or the set's own format raises
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceError(f"source {name} cannot be loaded from the hub ({reason})") from None


def _numbered(rows: Iterable[dict[str, Any]], name: str, stem: str) -> Iterator[Row | LeftOut]:
    for number, fields in enumerate(rows, 1):
        text = json.dumps(fields, ensure_ascii=False, default=str)
        place = f"{name}:{number}"
        if len(text) > LONGEST_ROW:
            yield LeftOut(place, Reason.TOO_LONG, _too_long(len(text)), quoted(text))
        else:
            yield Row(place, f"{stem}-{number:05d}", fields, text)
