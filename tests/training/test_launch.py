"""Runs under torchrun report what went wrong; that they die with their parent is tested by killing some."""

import os
import signal
import threading
import time

import pytest

from evaluation.errors import WarpsmithError
from training.launch import ProcessError, run_processes

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
        run_processes(MODULE, [how], 2, tmp_path / "stderr.log")
    assert "torch.distributed" not in str(caught.value)


@pytest.mark.slow
def test_a_good_run_ends_quietly(tmp_path):
    run_processes(MODULE, ["environment"], 2, tmp_path / "logs" / "stderr.log")
    assert (tmp_path / "logs" / "stderr.log").exists()


@pytest.mark.slow
def test_a_worker_that_hangs_says_where(tmp_path):
    """Both workers get the signal while they wait; the run ends as if nothing had been."""
    log, pids = tmp_path / "stderr.log", tmp_path / "pids"
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
