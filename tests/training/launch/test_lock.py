"""One process at a time, and the lock of a dead one is no lock."""

from __future__ import annotations

import errno
import fcntl
import signal
import subprocess
import sys

import pytest

from evaluation.errors import WarpsmithError
from training.launch.lock import exclusive

HOLD = """
import sys, time
from pathlib import Path
from training.launch.lock import exclusive
with exclusive(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_is_first_and_a_killed_one_leaves_no_lock(tmp_path):
    lock = tmp_path / "locks" / "sft.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(WarpsmithError, match=f"stage sft is busy .process {holder.pid}."),
            exclusive(lock, "stage sft is busy"),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with exclusive(lock, "busy"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_stops_nothing(tmp_path, monkeypatch, number):
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive(tmp_path / "lock", "busy"):
        pass
