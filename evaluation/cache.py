"""Verdicts by what they depend on, in memory and, if wanted, in one SQLite file.

A key holds the problem's instances and tolerance, the candidate's source, the seed, the size set, the
settings that matter, and a hash of the evaluator's own code, so a verdict from before a change is never taken
for one after it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from evaluation.check import SizeSet, fingerprint
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Verdict

_PACKAGE = Path(__file__).parent
_IRRELEVANT = {"workers", "cache_path", "rewards", "require_confinement"}
"""Settings that no verdict depends on."""


class VerdictCacheError(WarpsmithError):
    """The cache file cannot be read or written."""


def verdict_key(
    problem: Problem, source: str, *, seed: int, sizes: SizeSet, settings: EvaluationSettings
) -> str:
    """The cache key of one evaluation (hex)."""
    parts = (
        evaluator_version(),
        settings.model_dump_json(exclude=_IRRELEVANT),
        fingerprint(problem, sizes),
        f"{seed}/{sizes}",
        source,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def evaluator_version() -> str:
    """Hash of the evaluator's code and headers (hex)."""
    digest = hashlib.sha256()
    for path in sorted(path for path in _PACKAGE.rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class VerdictCache:
    """A mapping from keys to verdicts; `path` makes it outlive the process."""

    def __init__(self, path: Path | None = None) -> None:
        """Open or create the file; raises VerdictCacheError if it is not a usable one."""
        self._verdicts: dict[str, Verdict] = {}
        self._path = path
        self._database: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT)")
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def get(self, key: str) -> Verdict | None:
        """The verdict under `key`, if there is one."""
        verdict = self._verdicts.get(key)
        if verdict is None and self._database is not None:
            try:
                row = self._database.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            if row is not None:
                verdict = self._verdicts[key] = Verdict.model_validate_json(row[0])
        return verdict

    def update(self, verdicts: Mapping[str, Verdict]) -> None:
        """Add verdicts, all in one transaction."""
        self._verdicts.update(verdicts)
        if self._database is None or not verdicts:
            return
        rows = [(key, verdict.model_dump_json()) for key, verdict in verdicts.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._database is not None:
            self._database.close()

    def _unusable(self, error: Exception) -> VerdictCacheError:
        return VerdictCacheError(
            f"the verdict cache {self._path} cannot be used ({error}); delete it or free space"
        )
