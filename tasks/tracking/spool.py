"""What MLflow could not take yet: calls in files, in their order, made up when it is back.

A call is a file; it is deleted when it is done. A kill in between repeats it, so a call must be one that
changes nothing when it is repeated.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from tasks.disk.files import write_atomically
from training.launch.lock import exclusive


class Call(Frozen):
    """Something to log."""

    action: str
    run: str
    """Id of the run in MLflow, or the name of one that waits to be made."""
    arguments: dict[str, Any]
    """As JSON has them."""


class Spool:
    """The waiting calls of a profile; several processes may add to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return len(self._files())

    def __iter__(self) -> Iterator[Call]:
        return map(_read, self._files())

    def add(self, call: Call, attachment: Path | None = None) -> None:
        """Keep a call, with a copy of the file or folder that it is about, which may not stay as it is."""
        name = f"{time.time_ns():020}"
        if attachment is not None:
            copy = self.folder / name / attachment.name
            copy.parent.mkdir(parents=True)
            (shutil.copytree if attachment.is_dir() else shutil.copy)(attachment, copy)
            call = call.model_copy(update={"arguments": {**call.arguments, "path": str(copy)}})
        write_atomically(self.folder / f"{name}.json", call.model_dump_json())

    def make_up(self, perform: Callable[[Call], None]) -> None:
        """Perform the waiting calls and forget them; those of another process's turn are left to it.

        Raises:
            WarpsmithError: `perform`'s own, which ends it; that call and those after it go on waiting.
        """
        with exclusive(self.folder / "lock", "what MLflow missed is being made up already"):
            for file in self._files():
                perform(_read(file))
                file.unlink()
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))


def _read(file: Path) -> Call:
    try:
        return Call.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except ValueError:
        raise WarpsmithError(f"{file} is no call to MLflow; delete it") from None
