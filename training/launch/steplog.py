"""JSON lines with a `step`, such as metrics.jsonl: appended while training runs, cut back on resume."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class StepLog:
    """One file of rows, each a JSON object whose `step` never falls."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def truncate(self, step: int) -> None:
        """Drop the rows after `step`, what is no row, and a last line that was cut off with its writer."""
        lines = self._complete_lines()
        rows = [(line, row) for line in lines if (row := _row(line)) is not None]
        if len(rows) < len(lines):
            print(f"{self._path}: dropped {len(lines) - len(rows)} line(s) that cannot be read", flush=True)
        kept = "".join(f"{line}\n" for line, row in rows if row["step"] <= step)
        unfinished = self._path.with_name(f".{self._path.name}.unfinished")
        unfinished.write_text(kept, encoding="utf-8")
        unfinished.replace(self._path)

    def append(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows for `step` and hand them to the operating system at once."""
        text = "".join(json.dumps({"step": step, **row}) + "\n" for row in rows)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows."""
        return [row for line in self._complete_lines() if (row := _row(line)) is not None]

    def _complete_lines(self) -> list[str]:
        if not self._path.exists():
            return []
        *complete, _cut_off = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        return complete


def _row(line: str) -> dict[str, Any] | None:
    """What a line says, unless a crash of the machine or an editor left something else there."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None
