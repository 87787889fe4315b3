"""Scratch folders: one for each owner, gone with it, and removed by the next one if it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.scratch import Scratch, memory_folder

OWNER = """
import sys
from pathlib import Path
from evaluation.backends.simt.backend import SimtBackend
from evaluation.reference.pool import ReferencePool
from evaluation.settings import EvaluationSettings
made = ReferencePool(), SimtBackend(EvaluationSettings(), Path(sys.argv[1]))
print("made", flush=True)
input()
"""


def test_each_owner_has_a_folder_of_its_own(tmp_path):
    with Scratch("own-", tmp_path) as one, Scratch("own-", tmp_path) as two:
        assert one.path.is_dir() and two.path.is_dir() and one.path != two.path
    assert not list(tmp_path.iterdir())


def test_a_killed_judge_leaves_nothing_once_the_next_one_starts(tmp_path, simt):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=Path(__file__).parents[2], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout.readline() == "made\n"
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    left = {path.name.rpartition("-")[0] for path in tmp_path.iterdir()}
    assert left == {"warpsmith-reference", "warpsmith-simt"}
    for name in left:
        with Scratch(f"{name}-", tmp_path) as mine:
            found = [path for path in tmp_path.iterdir() if path.name.startswith(name)]
            assert found == [mine.path]


def test_a_folder_in_use_is_left_alone(tmp_path):
    with Scratch("own-", tmp_path) as first:
        (first.path / "file").write_text("x")
        with Scratch("own-", tmp_path):
            assert (first.path / "file").read_text() == "x"


@pytest.mark.parametrize(("least_mb", "in_memory"), [(0, True), (1 << 40, False)])
def test_memory_that_is_too_small_is_not_used(least_mb, in_memory):
    if not Path("/dev/shm").is_dir():
        pytest.skip("this machine has no /dev/shm")
    assert (memory_folder(least_mb) == Path("/dev/shm")) is in_memory
