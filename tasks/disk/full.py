"""Telling a full disk apart from the many strange errors that it causes."""

from __future__ import annotations

import shutil
from pathlib import Path

from evaluation.errors import WarpsmithError, causes, says_full_disk

#: Less free space than this beside a failure is what the failure is about.
_FULL_BYTES = 1 << 20


def explain_full_disk(error: BaseException, root: Path) -> WarpsmithError | None:
    """The sentence for an error that a full disk caused; none if it had another cause, or a sentence of its
    own that no full disk is behind."""
    if not isinstance(error, Exception):
        return None
    explained = isinstance(error, WarpsmithError)
    said = any(says_full_disk(link) for link in causes(error) if link is not error or not explained)
    if said or (not explained and shutil.disk_usage(root).free < _FULL_BYTES):
        return WarpsmithError("the disk that holds artifacts/ is full; free some space and run again")
    return None
