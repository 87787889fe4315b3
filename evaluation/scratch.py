"""Scratch folders that a killed process does not leave behind for good: each is locked while its owner lives.

The next process that makes one with the same name removes those whose lock nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from evaluation.closing import Closing

LOCK = "lock"
"""The file in a scratch folder that says whether its owner lives."""


class Scratch(Closing):
    """A folder of this process's own, removed when closed; a context manager."""

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        """Make it in `parent` (default: the temporary folder), and remove what is abandoned there."""
        parent = parent or Path(tempfile.gettempdir())
        _remove_abandoned(parent, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        being_made = self.path / "new"
        self._lock = being_made.open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        being_made.rename(self.path / LOCK)  # who looks for abandoned folders never sees it unlocked

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def memory_folder(least_mb: int) -> Path:
    """A file system in memory with so much room, or else the temporary folder: both are written to often."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and free_mb(folder) >= least_mb else Path(tempfile.gettempdir())


def free_mb(folder: Path) -> int:
    """Room that is left in the file system of `folder`, MiB."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >> 20


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for lock in parent.glob(f"{prefix}*/{LOCK}"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
