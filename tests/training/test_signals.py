"""A run that is asked to stop saves what it did, says so, and goes on to the same end."""

import os
import signal

import pytest

from tests.training.killed import run_and_stop, steps_done
from tests.training.night import assert_same_weights, base_checkpoint, conversations, metrics, write_rows
from tests.training.test_grpo import job as grpo_job
from tests.training.test_sft import job as sft_job
from training.launch import REQUEUE, run_job
from training.signals import SIGNALS, StopRequest, handling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    base_checkpoint(folder)
    write_rows(folder / "sft.jsonl", conversations())
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    write_rows(folder / "prompts.jsonl", rows)
    write_rows(folder / "problems.jsonl", [])
    return folder


@pytest.fixture(scope="module")
def straight(folder):
    """GRPO without a stop."""
    straight = grpo_job(folder, folder / "straight", 2, grpo={"save_every": 100})
    run_job("training.grpo", straight, straight.out_dir, 2)
    return straight.out_dir


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "worker"), [(signal.SIGTERM, False), (signal.SIGUSR1, True), (signal.SIGTERM, True)]
)
def test_grpo_stops_with_a_snapshot_and_ends_the_same(folder, straight, tmp_path, number, worker):
    stopped = grpo_job(folder, tmp_path / "stopped", 2, grpo={"save_every": 100})
    status, said = run_and_stop("training.grpo", stopped, stopped.out_dir, 2, 2, number, worker=worker)
    assert status == REQUEUE and "asked to stop" in said
    done = steps_done(stopped.out_dir)
    assert done < stopped.settings.grpo.steps
    assert (stopped.out_dir / "checkpoints" / f"step_{done:06d}").is_dir()
    run_job("training.grpo", stopped, stopped.out_dir, 2)
    assert_same_weights(stopped.out_dir / "torch_dist", straight / "torch_dist")
    assert metrics(stopped.out_dir) == metrics(straight)


@pytest.mark.slow
def test_sft_stops_with_a_snapshot_and_ends_the_same(folder, tmp_path):
    settings = {"save_every": 100, "steps": 40}
    whole = sft_job(folder / "torch_dist", folder / "sft.jsonl", tmp_path / "whole", 2, **settings)
    run_job("training.sft", whole, whole.out_dir, 2)
    stopped = sft_job(folder / "torch_dist", folder / "sft.jsonl", tmp_path / "stopped", 2, **settings)
    status, _ = run_and_stop("training.sft", stopped, stopped.out_dir, 2, 2, signal.SIGUSR1, worker=False)
    assert status == REQUEUE
    run_job("training.sft", stopped, stopped.out_dir, 2)
    assert_same_weights(stopped.out_dir / "torch_dist", whole.out_dir / "torch_dist")


def test_a_signal_is_noted_and_handlers_are_put_back(single_process, tmp_path):
    before = [signal.getsignal(number) for number in SIGNALS]
    request = StopRequest(tmp_path / "stop", tmp_path / "failed")
    with handling(request.handle):
        assert not request.agreed()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.agreed()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_the_launchers_file_counts_as_a_signal(single_process, tmp_path):
    request = StopRequest(tmp_path / "stop", None)
    assert not request.agreed()
    (tmp_path / "stop").touch()
    assert request.agreed()
