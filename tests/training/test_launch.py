"""Runs under torchrun report what went wrong; that they die with their parent is tested by killing some."""

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
