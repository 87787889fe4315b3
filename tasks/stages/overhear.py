"""What a stage prints, on its way to the terminal, for Prefect's pages: one of hours is watched there."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Prefect's setting of what it writes to the terminal itself; where it is quiet there, tasks print.
CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
_STDOUT = 1
#: How long a stage's last words are waited for; a process that outlives it would never let go of its stdout.
_FAREWELL_S = 5.0


@contextmanager
def overheard(listen: Callable[[str], object]) -> Iterator[None]:
    """Give `listen` every line that is written to stdout while the block runs, by child processes too.

    The terminal has it at once, as before. `listen` is called in another thread and must not print.
    """
    sys.stdout.flush()
    terminal = os.dup(_STDOUT)
    ours, theirs = os.pipe()
    os.dup2(theirs, _STDOUT)
    os.close(theirs)
    ours_too = contextvars.copy_context()  # where Prefect keeps its settings
    arguments = (_pass_on, ours, terminal, listen)
    thread = threading.Thread(target=ours_too.run, args=arguments, name="overhear", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(terminal, _STDOUT)
        thread.join(_FAREWELL_S)


def _pass_on(source: int, terminal: int, listen: Callable[[str], object]) -> None:
    """Copy until the last writer is gone; both ends are closed then."""
    begun = b""
    while piece := os.read(source, 1 << 16):
        with suppress(OSError):  # the terminal was closed
            os.write(terminal, piece)
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            listen(line.decode(errors="replace"))
    if begun:
        listen(begun.decode(errors="replace"))
    os.close(source)
    os.close(terminal)
