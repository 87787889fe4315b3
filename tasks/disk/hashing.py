"""Hashes that name data: DVC's md5 of files and folders, and a hash of settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Left out of a folder's hash, as in `.dvcignore`: they are made by running the code.
_GENERATED = frozenset({"__pycache__"})


def path_md5(path: Path) -> str:
    """The hash under which DVC knows a file or a folder (the latter ends in `.dir`).

    A folder's hash is that of the sorted JSON list of its files' hashes and relative paths.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
    """
    if not path.is_dir():
        return _file_md5(path)
    files = sorted(p for p in path.rglob("*") if p.is_file() and not _GENERATED.intersection(p.parts))
    entries = [{"md5": _file_md5(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def settings_hash(settings: Any) -> str:
    """A short hash of JSON-like settings that does not depend on the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
