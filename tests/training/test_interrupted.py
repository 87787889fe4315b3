"""Runs of two processes: killed or asked to stop they go on, and end as if nothing had happened."""

import signal
from pathlib import Path

import pytest

from tests.training.killed import run_and_kill, run_and_stop, steps_done
from tests.training.night import assert_same_weights, base_checkpoint, conversations, metrics, write_rows
from tests.training.test_grpo import job as grpo_job
from tests.training.test_sft import job as sft_job
from training.launch.local import REQUEUE, run_job, run_processes

pytestmark = pytest.mark.slow
GRPO_STEPS, SFT_STEPS = 16, 40
#: A run that is two rollouts ahead.
ASYNC = {"asynchronous": True, "importance_cap": 2.0, "max_staleness": 2, "steps": 7, "save_every": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    base_checkpoint(folder)
    write_rows(folder / "sft.jsonl", conversations())
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    write_rows(folder / "prompts.jsonl", rows)
    write_rows(folder / "problems.jsonl", [])
    return folder


def grpo(folder: Path, out_dir: Path, save_every: int = 3):
    return grpo_job(folder, out_dir, 2, grpo={"steps": GRPO_STEPS, "save_every": save_every})


def asynchronous(folder: Path, out_dir: Path):
    return grpo_job(folder, out_dir, 2, grpo=ASYNC)


def custom(folder: Path, out_dir: Path):
    """With the rollout function of docs/custom-code.md."""
    function = "docs.examples.rollout:best_and_worst"
    return grpo_job(folder, out_dir, 2, grpo={"steps": 2}, rollout_function=function)


def sft(folder: Path, out_dir: Path):
    return sft_job(folder / "torch_dist", folder / "sft.jsonl", out_dir, 2, steps=SFT_STEPS)


@pytest.fixture(scope="module")
def straight(folder) -> Path:
    """What the same runs leave that nobody interrupts, in folders with their names."""
    out, arguments = folder / "straight", []
    for make in (grpo, asynchronous, custom, sft):
        job = make(folder, out / make.__name__)
        job.out_dir.mkdir(parents=True)
        file = out / f"{make.__name__}.json"
        file.write_text(job.model_dump_json())
        arguments += [type(job).__name__, str(file)]
    run_processes("tests.training.straight_worker", arguments, 2, out / "stderr.log")
    return out


def assert_same_run(one: Path, other: Path) -> None:
    assert_same_weights(one / "torch_dist", other / "torch_dist")
    assert metrics(one) == metrics(other)
    if (other / "rollouts.jsonl").exists():
        assert (one / "rollouts.jsonl").read_text() == (other / "rollouts.jsonl").read_text()


def test_a_rollout_function_of_the_users_serves_all_ranks(straight):
    rows = metrics(straight / "custom")
    assert [row["rollout/samples"] for row in rows] == [16, 16]
    assert all(row["reward/std"] > 0 for row in rows)


def stopped(module: str, job, steps: int, number: int, *, worker: bool) -> None:
    """Go on with a run and ask it to stop two steps later: it says so and has a snapshot of the last."""
    step = steps_done(job.out_dir) + 2
    status, said = run_and_stop(module, job, job.out_dir, 2, step, number, worker=worker)
    assert status == REQUEUE and "asked to stop" in said
    done = steps_done(job.out_dir)
    assert step <= done < steps
    assert (job.out_dir / "checkpoints" / f"step_{done:06d}").is_dir()


def test_grpo_is_killed_and_a_worker_is_asked_to_stop(folder, straight, tmp_path):
    job = grpo(folder, tmp_path / "broken")
    run_and_kill("training.grpo", job, job.out_dir, 2, step=4)
    rarely = grpo(folder, job.out_dir, save_every=100)
    stopped("training.grpo", rarely, GRPO_STEPS, signal.SIGUSR1, worker=True)
    run_job("training.grpo", job, job.out_dir, 2)
    assert_same_run(job.out_dir, straight / "grpo")


def test_asynchronous_grpo_is_killed(folder, straight, tmp_path):
    job = asynchronous(folder, tmp_path / "killed")
    run_and_kill("training.grpo", job, job.out_dir, 2, step=3)
    run_job("training.grpo", job, job.out_dir, 2)
    assert_same_run(job.out_dir, straight / "asynchronous")


def test_sft_is_killed_and_its_launcher_is_asked_to_stop(folder, straight, tmp_path):
    whole, broken = straight / "sft", sft(folder, tmp_path / "broken")
    run_and_kill("training.sft", broken, broken.out_dir, 2, step=4)
    assert not (broken.out_dir / "torch_dist").exists()
    stopped("training.sft", broken, SFT_STEPS, signal.SIGTERM, worker=False)
    run_job("training.sft", broken, broken.out_dir, 2)

    assert_same_run(broken.out_dir, whole)
    history = metrics(whole)
    assert [row["step"] for row in history] == list(range(1, SFT_STEPS + 1))
    assert history[-1]["train/loss"] < history[0]["train/loss"] - 0.5
    names = sorted(path.name for path in (broken.out_dir / "checkpoints").iterdir())
    assert names == ["step_000039", "step_000040"]
