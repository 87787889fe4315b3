"""Errors that a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator

#: What the C library and SQLite say where no error number tells it.
_FULL = ("No space left on device", "disk is full", "Disk quota exceeded")


class WarpsmithError(Exception):
    """Something the user can put right: the message is one sentence that names the thing and the remedy.

    Command-line entry points print it as `error: ...` and exit with status 2; anything else that is
    raised is a bug and keeps its traceback.
    """


class EvaluatorFailure(Exception):
    """The evaluator could not judge a candidate, by no fault of the candidate; the message says why.

    It is never a verdict on the kernel and never rewarded; another try may well succeed.
    """


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, its cause, the cause's cause, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def says_full_disk(error: BaseException) -> bool:
    """Whether this one exception, its causes apart, says that a disk or a quota is full."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or any(words in str(error) for words in _FULL)
