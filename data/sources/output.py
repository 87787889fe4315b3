"""What preparing sources hands on, written row by row and moved into place when all of it is there.

rows.jsonl         slime rows: prompt, label, metadata; of all sources and splits
problems.jsonl     the `evaluation.problem.Problem` of every row that is one
sft.jsonl          verified answers as conversations, of sources that have answers
outputs.csv        what their reference programs computed (see `data.table`)
quarantine.jsonl   rows that were left out: source, place (file and line), reason, sentence, row
manifest.json      the numbers, by source and by reason, and the hash of every file
datasheet.md       the same for a person
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from data.prepared import slime_row
from data.prompts import render
from data.settings import PromptStyle
from data.sources.rows import Kept, LeftOut, Outcome
from data.table import to_csv
from evaluation.check import SizeSet
from evaluation.problem import Problem

ROWS, PROBLEMS, ANSWERS = "rows.jsonl", "problems.jsonl", "sft.jsonl"
OUTPUTS, QUARANTINE = "outputs.csv", "quarantine.jsonl"
MANIFEST, DATASHEET = "manifest.json", "datasheet.md"
_STREAMED = (ROWS, PROBLEMS, ANSWERS, OUTPUTS, QUARANTINE)


class Output:
    """The files of one preparation, beside their folder until `finish`; a context manager."""

    def __init__(self, out: Path, style: PromptStyle) -> None:
        """Write to `out`; prompts of problems in `style`."""
        self._out, self._style = out, style
        self._partial = out.parent / f".{out.name}.partial"
        self._open = ExitStack()
        self._written: set[str] = set()  # ids of problems: several answers may be to one

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._files = {
            name: self._open.enter_context((self._partial / name).open("w", encoding="utf-8", newline="\n"))
            for name in _STREAMED
        }
        self._files[OUTPUTS].write(to_csv((), ()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def add(self, source: str, outcome: Outcome) -> None:
        """Write what became of one row; a repetition leaves nothing."""
        if isinstance(outcome, LeftOut):
            self._line(
                QUARANTINE,
                {
                    "source": source,
                    "place": outcome.place,
                    "reason": outcome.reason.value,
                    "sentence": outcome.sentence,
                    "row": outcome.text,
                },
            )
        elif isinstance(outcome, Kept):
            self._line(ROWS, self._row(source, outcome))
            if isinstance(outcome.item, Problem) and outcome.item.id not in self._written:
                self._written.add(outcome.item.id)
                self._files[PROBLEMS].write(outcome.item.model_dump_json() + "\n")
                if outcome.measured is not None:
                    table = to_csv((outcome.item,), (outcome.measured,))
                    self._files[OUTPUTS].write(table.split("\n", 1)[1])

    def finish(self, manifest: dict[str, Any], datasheet: str) -> None:
        """Write the last two files, and move all into place, the manifest last."""
        self._open.close()
        (self._partial / DATASHEET).write_text(datasheet, encoding="utf-8")
        (self._partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        self._out.mkdir(parents=True, exist_ok=True)
        for name in (*_STREAMED, DATASHEET, MANIFEST):
            os.replace(self._partial / name, self._out / name)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file of rows, as it is now."""
        for file in self._files.values():
            file.flush()
        return {name: file_hash(self._partial / name) for name in _STREAMED}

    def _row(self, source: str, kept: Kept) -> dict[str, Any]:
        item = kept.item
        if isinstance(item, Problem):
            row = slime_row(item, render(item, self._style))
        else:
            metadata = {"problem_id": item.id, "split": kept.split.value}
            row = {
                "prompt": list(item.messages),
                "label": item.label,
                "metadata": {**kept.metadata, **metadata},
            }
        row["metadata"] |= {"source": source, "place": kept.place, "graph": kept.graph}
        if isinstance(item, Problem):
            row["metadata"] |= kept.metadata
        if kept.response:
            row["messages"] = [*row["prompt"], {"role": "assistant", "content": kept.response}]
            about = {"problem_id": row["label"], "verified": SizeSet.CHECKS.value, "source": source}
            self._line(ANSWERS, {"messages": row["messages"], "metadata": {**about, "place": kept.place}})
        return row

    def _line(self, name: str, row: dict[str, Any]) -> None:
        self._files[name].write(json.dumps(row, ensure_ascii=False) + "\n")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
