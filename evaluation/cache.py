"""Verdicts by what they depend on, in memory and, if wanted, in one SQLite file.

A key holds the problem's instances and tolerance, the candidate's source, the seed, the size set, the kind of
reference, the settings that matter, the compiler or GPU, and a hash of the evaluator's own code, so a verdict
from before a change, or from another machine, is never taken for one after it.
"""

from __future__ import annotations

import hashlib
import platform
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from evaluation.check import SizeSet, problem_digest
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.machine import Clocks
from evaluation.toolchain import find_compiler
from evaluation.verdict import Verdict

_PACKAGE = Path(__file__).parent
_IRRELEVANT = {"workers", "devices", "cache_path", "rewards", "failures_in_a_row", "require_confinement"}
"""Settings that no verdict depends on."""
_IN_MEMORY = 50_000
"""Verdicts that are held in memory, about 1 KiB each: those that were used last."""


class VerdictCacheError(WarpsmithError):
    """The cache file cannot be read or written."""


def verdict_key(
    problem: Problem,
    source: str,
    *,
    seed: int,
    sizes: SizeSet,
    settings: EvaluationSettings,
    reference: str,
) -> str:
    """The cache key of one evaluation (hex); kinds of `reference` draw other inputs from the same seed."""
    parts = (
        evaluator_version(),
        machine(settings.backend, settings.compiler),
        reference,
        settings.model_dump_json(exclude=_IRRELEVANT),
        problem_digest(problem, sizes),
        f"{seed}/{sizes}",
        source,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def machine(backend: BackendName, compiler: str | None) -> str:
    """What computes here: torch, and the C++ compiler or the GPU and its driver."""
    parts = [version("torch"), platform.machine()]
    if backend is BackendName.CUDA:
        clocks = Clocks()
        parts += [clocks.name() or "", clocks.driver() or ""]
        clocks.close()
    else:
        with suppress(WarpsmithError):  # there is none: whoever compiles will say so
            parts.append(find_compiler(compiler).version)
    return "\0".join(parts)


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
        self._verdicts: OrderedDict[str, Verdict] = OrderedDict()
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
            verdict = Verdict.model_validate_json(row[0]) if row is not None else None
        if verdict is not None:
            self._hold({key: verdict})
        return verdict

    def update(self, verdicts: Mapping[str, Verdict]) -> None:
        """Add verdicts, all in one transaction."""
        self._hold(verdicts)
        if self._database is None or not verdicts:
            return
        rows = [(key, verdict.model_dump_json()) for key, verdict in verdicts.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _hold(self, verdicts: Mapping[str, Verdict]) -> None:
        for key, verdict in verdicts.items():
            self._verdicts[key] = verdict
            self._verdicts.move_to_end(key)
        while len(self._verdicts) > _IN_MEMORY:
            self._verdicts.popitem(last=False)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._database is not None:
            self._database.close()

    def _unusable(self, error: Exception) -> VerdictCacheError:
        return VerdictCacheError(
            f"the verdict cache {self._path} cannot be used ({error}); delete it or free space"
        )
