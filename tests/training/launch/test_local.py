"""Runs under torchrun report what went wrong; that they die with their parent is tested by killing some."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from evaluation.errors import WarpsmithError
from training.launch import local as launch
from training.launch.local import ProcessError, run_job, run_processes
from training.settings.jobs import SftJob, TrainingSettings

MODULE = "tests.training.failing_worker"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ("explained", WarpsmithError, "^the cable is loose; plug it in$"),
        ("full", WarpsmithError, r"the disk is full writing weights\.bin"),
        ("bug", ProcessError, "KeyError: 'unexpected'"),
    ],
)
def test_a_workers_error_comes_back(tmp_path, how, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        run_processes(MODULE, [how], 1, tmp_path / "stderr.log")
    assert "torch.distributed" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ("rank 1 explained", WarpsmithError, "^the other cable is loose; plug it in$"),
        (
            "rank 1 bug",
            ProcessError,
            "failed in process 1; more is in .*stderr.log:\n(.*\n)+KeyError: 'unexpected'",
        ),
    ],
)
def test_the_first_to_fail_is_heard_not_the_one_that_lost_it(tmp_path, how, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        run_processes(MODULE, [how], 2, tmp_path / "stderr.log")
    assert "closed by peer" not in str(caught.value)
    stack = (tmp_path / "failure.log").read_text()
    assert "in fail_alone" in stack and "closed by peer" not in stack


@pytest.mark.slow
def test_a_worker_that_hangs_says_where(tmp_path):
    """Both workers get the signal while they wait; the run ends as if nothing had been."""
    log, pids = tmp_path / "logs" / "stderr.log", tmp_path / "pids"
    pids.mkdir()
    run = threading.Thread(target=run_processes, args=(MODULE, ["waiting", str(pids)], 2, log))
    run.start()
    while len(list(pids.iterdir())) < 2:
        time.sleep(0.1)
        assert run.is_alive()
    for pid in pids.iterdir():
        os.kill(int(pid.name), signal.SIGUSR2)
    while log.read_text().count("in wait_for_the_end") < 2:
        time.sleep(0.1)
        assert run.is_alive()
    (pids / "end").touch()
    run.join()
    assert not (log.parent / "failure.log").exists()


def job(out_dir) -> SftJob:
    return SftJob(settings=TrainingSettings(), checkpoint=out_dir, rows=out_dir, out_dir=out_dir)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / place
    with pytest.raises(WarpsmithError, match=rf"^{out} cannot be written \(.+\); choose another --out-dir$"):
        run_job(MODULE, job(out), out, 1)


LOCKED = """
import time
from pathlib import Path
from training.launch.lock import exclusive
with exclusive(Path(%r, ".lock"), "busy"):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_two_runs_do_not_share_a_folder(tmp_path, monkeypatch):
    """The first one's lock ends with it, however it ends."""
    ran = []
    monkeypatch.setattr(launch, "run_processes", lambda *_, **__: ran.append(True))
    command = [sys.executable, "-c", LOCKED % str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(
            WarpsmithError, match=rf"^another run uses {tmp_path} \(process {other.pid}\); wait"
        ):
            run_job(MODULE, job(tmp_path), tmp_path, 1)
        assert not (tmp_path / "job.json").exists()
        other.kill()
    for _ in range(2):
        run_job(MODULE, job(tmp_path), tmp_path, 1)
    assert len(ran) == 2


GRANDCHILD = """
import os, subprocess, sys
os.environ["WARPSMITH_LAUNCHER"] = sys.argv[1] if len(sys.argv) > 1 else str(os.getppid())
code = "from training.launch.local import _orphaned; exit(_orphaned())"
sys.exit(subprocess.call([sys.executable, "-c", code]))
"""


def test_a_worker_knows_whether_its_launcher_lives():
    def orphaned(*launcher: str) -> int:
        """As it is for a worker whose torchrun is this test's child."""
        return subprocess.run([sys.executable, "-c", GRANDCHILD, *launcher]).returncode

    assert orphaned() == 0
    assert orphaned(str(os.getppid())) == 1  # torchrun has another parent now
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert launch._state_and_parent(str(zombie.pid)) == ("Z", str(os.getpid()))
    assert orphaned(str(zombie.pid)) == 1
    zombie.wait()
    assert launch._state_and_parent(str(zombie.pid)) == ("X", "")
