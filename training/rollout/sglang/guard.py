"""Runs a command in a process group that never outlives whoever started it: `python -I guard.py COMMAND...`

SGLang's own processes end with their parent, but only once they have asked the system for it, seconds after
their start; what is killed before that leaves processes behind, which on a GPU keep its memory. So this
process stands between: its standard input is a pipe from the starter, and when that ends, however the
starter died, the whole group is killed. It needs nothing but Python.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run the command; end with its status, or 128 and the signal that killed it."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # so that it is our own group that is killed
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: command.terminate())
    threading.Thread(target=_kill_at_end_of_input, daemon=True).start()
    status = command.wait()
    os._exit(status if status >= 0 else 128 - status)


def _kill_at_end_of_input() -> None:
    os.read(0, 1)  # nothing is ever written
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
