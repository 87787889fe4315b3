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
        """Drop the rows after `step`, and a last line that was cut off when its writer was killed."""
        kept = "".join(f"{line}\n" for line in self._complete_lines() if json.loads(line)["step"] <= step)
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
        return [json.loads(line) for line in self._complete_lines()]

    def _complete_lines(self) -> list[str]:
        if not self._path.exists():
            return []
        *complete, _cut_off = self._path.read_text(encoding="utf-8").split("\n")
        return complete
