"""Telling a full disk apart from the many strange errors that it causes."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from evaluation.errors import WarpsmithError

#: Less free space than this beside a failure is what the failure is about.
_FULL_BYTES = 1 << 20
#: What libraries say: the C library's words and SQLite's.
_WORDS = ("No space left on device", "disk is full", "Disk quota exceeded")


def explain_full_disk(error: BaseException, root: Path) -> WarpsmithError | None:
    """The sentence for an error that a full disk caused; none if it had another cause."""
    if not isinstance(error, Exception) or isinstance(error, WarpsmithError):
        return None
    if any(map(_says_full, _chain(error))) or shutil.disk_usage(root).free < _FULL_BYTES:
        return WarpsmithError("the disk that holds artifacts/ is full; free some space and run again")
    return None


def _says_full(error: BaseException) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or any(words in str(error) for words in _WORDS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
