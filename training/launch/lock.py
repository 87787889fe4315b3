"""Work that only one process does at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.errors import WarpsmithError

#: What a file system says that has no locks (Lustre without them, say): the work goes on without.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def exclusive(lock: Path, busy: str) -> Iterator[None]:
    """Hold `lock` while the block runs; the kernel lets go of it however the process ends.

    Raises:
        WarpsmithError: with the sentence `busy` if another process holds it; its id is in the file.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WarpsmithError(f"{busy} (process {holder}); wait for it or stop it") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
