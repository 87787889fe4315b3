"""Runs of two processes that are killed or asked to stop go on, and end as if nothing had happened."""

import signal
from pathlib import Path

import pytest

from tests.training.killed import run_and_kill, run_and_stop, steps_done
from tests.training.night import assert_same_weights, base_checkpoint, conversations, metrics, write_rows
from tests.training.test_grpo import job as grpo_job
from tests.training.test_sft import job as sft_job
from training.launch.local import REQUEUE, run_job

pytestmark = pytest.mark.slow
GRPO_STEPS, SFT_STEPS = 10, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    base_checkpoint(folder)
    write_rows(folder / "sft.jsonl", conversations())
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    write_rows(folder / "prompts.jsonl", rows)
    write_rows(folder / "problems.jsonl", [])
    return folder


def grpo(folder: Path, out_dir: Path, save_every: int):
    return grpo_job(folder, out_dir, 2, grpo={"steps": GRPO_STEPS, "save_every": save_every})


@pytest.fixture(scope="module")
def straight(folder) -> Path:
    """What GRPO leaves that nobody interrupts."""
    job = grpo(folder, folder / "straight", save_every=100)
    run_job("training.grpo", job, job.out_dir, 2)
    return job.out_dir


def assert_same_run(one: Path, other: Path) -> None:
    assert_same_weights(one / "torch_dist", other / "torch_dist")
    assert metrics(one) == metrics(other)


def test_grpo_is_killed(folder, straight, tmp_path):
    job = grpo(folder, tmp_path / "killed", save_every=2)
    run_and_kill("training.grpo", job, job.out_dir, 2, step=3)
    run_job("training.grpo", job, job.out_dir, 2)
    assert_same_run(job.out_dir, straight)
    one, other = ((out / "rollouts.jsonl").read_text() for out in (job.out_dir, straight))
    assert one == other


def test_grpo_is_asked_to_stop_first_by_its_launcher_then_by_a_worker(folder, straight, tmp_path):
    job = grpo(folder, tmp_path / "stopped", save_every=100)
    for number, worker in [(signal.SIGTERM, False), (signal.SIGUSR1, True)]:
        step = steps_done(job.out_dir) + 2
        status, said = run_and_stop("training.grpo", job, job.out_dir, 2, step, number, worker=worker)
        assert status == REQUEUE and "asked to stop" in said
        done = steps_done(job.out_dir)
        assert step <= done < GRPO_STEPS
        assert (job.out_dir / "checkpoints" / f"step_{done:06d}").is_dir()
    run_job("training.grpo", job, job.out_dir, 2)
    assert_same_run(job.out_dir, straight)


def test_sft_is_killed_and_later_asked_to_stop(folder, tmp_path):
    def job(name: str):
        return sft_job(folder / "torch_dist", folder / "sft.jsonl", tmp_path / name, 2, steps=SFT_STEPS)

    whole, broken = job("whole"), job("broken")
    run_job("training.sft", whole, whole.out_dir, 2)
    run_and_kill("training.sft", broken, broken.out_dir, 2, step=4)
    assert not (broken.out_dir / "torch_dist").exists()
    step = steps_done(broken.out_dir) + 4
    status, _ = run_and_stop("training.sft", broken, broken.out_dir, 2, step, signal.SIGUSR1, worker=False)
    assert status == REQUEUE
    assert (broken.out_dir / "checkpoints" / f"step_{steps_done(broken.out_dir):06d}").is_dir()
    run_job("training.sft", broken, broken.out_dir, 2)

    assert_same_run(broken.out_dir, whole.out_dir)
    history = metrics(whole.out_dir)
    assert [row["step"] for row in history] == list(range(1, SFT_STEPS + 1))
    assert history[-1]["train/loss"] < history[0]["train/loss"] - 0.5
    names = sorted(path.name for path in (broken.out_dir / "checkpoints").iterdir())
    assert names == ["step_000039", "step_000040"]
