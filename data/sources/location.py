"""`KIND:PATH@[a:b]`: which kind of source, where it lies, and which of its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BARE = "programs"
"""The kind of a path without one."""
_KIND = re.compile(r"([a-z][a-z0-9_-]*):(.+)", re.DOTALL)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SUFFIXES = (".jsonl", ".json", ".parquet", ".py")
_SLICE = re.compile(r"(.+)@\[(\d*):(\d*)\]", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """Where the rows of a source are."""

    kind: str
    target: str
    """A path, a name on the hub, or a number for the generator."""
    first: int = 0
    """Rows passed over."""
    end: int | None = None
    """Where to stop, counted from the first row of all."""

    @property
    def path(self) -> Path:
        """The target as a path."""
        return Path(self.target)

    def on_hub(self, root: Path = Path()) -> bool:
        """Whether the target can only be a set on the Hugging Face hub: `owner/name`, and no file here."""
        path = root / self.target
        return path.suffix not in _SUFFIXES and not path.exists() and bool(_HUB_NAME.fullmatch(self.target))

    @property
    def stem(self) -> str:
        """What ids of its rows begin with."""
        return re.sub(r"[^A-Za-z0-9_.]+", "-", self.path.stem).strip("-") or "row"

    def __str__(self) -> str:
        rows = f"@[{self.first or ''}:{'' if self.end is None else self.end}]"
        prefix = "" if self.kind == BARE else f"{self.kind}:"
        return f"{prefix}{self.target}" + (rows if self.first or self.end is not None else "")


def locate(source: str) -> Location:
    """Read a source as a person writes it, of a known kind or not; a path alone holds programs."""
    found = None if Path(source).exists() else _KIND.fullmatch(source)
    kind, target = found.groups() if found else (BARE, source)
    sliced = None if Path(target).exists() else _SLICE.fullmatch(target)
    if sliced is None:
        return Location(kind, target)
    target, first, end = sliced.groups()
    return Location(kind, target, int(first or 0), int(end) if end else None)


def file_of(source: str, root: Path) -> Path | None:
    """The file or folder of a source, seen from `root`; none for what is drawn or lies on the hub."""
    location = locate(source)
    return None if location.target.isdecimal() or location.on_hub(root) else root / location.target
