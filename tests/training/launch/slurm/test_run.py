"""Training as a job of a real Slurm with two nodes: followed, requeued, found again, cancelled."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm import Cluster, cluster, missing
from tests.training.night import assert_same_weights, metrics
from tests.training.nodes import ROOT, inputs
from tests.training.slurm_submitter import STEPS, job
from training.launch.local import REQUEUE, run_job

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
_LIMIT_S = 400.0


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("slurm") / "cluster") as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return inputs(tmp_path_factory.mktemp("night"))


def submit(slurm: Cluster, folder: Path, out: Path, lr: str = "1e-3") -> subprocess.Popen[str]:
    module = [sys.executable, "-m", "tests.training.slurm_submitter", str(folder), str(out), lr]
    return subprocess.Popen(
        module, cwd=ROOT, env=slurm.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_until(happened: Callable[[], bool], out: Path) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not happened():
        said = [path.read_text(errors="replace")[-2000:] for path in sorted(out.glob("s*.log"))]
        assert time.monotonic() < deadline, "\n".join(said)
        time.sleep(0.2)


def steps(out: Path) -> int:
    """Steps that were logged so far."""
    file = out / "metrics.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def job_id(out: Path) -> int:
    return int((out / "slurm.job").read_text())


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=_LIMIT_S)
    return process.returncode, said


def test_a_run_survives_its_submitter_and_a_node(slurm, folder, tmp_path):
    """And ends with the weights of a run that nothing happened to, on one node."""
    out = tmp_path / "out"
    submitter = submit(slurm, folder, out)
    wait_until(lambda: steps(out) > 12, out)
    submitter.kill()
    submitter.wait()
    number = job_id(out)
    assert slurm.state(number) == "RUNNING"
    slurm.kill_node("n2")
    wait_until(lambda: slurm.state(number) != "RUNNING", out)
    before = steps(out)
    assert before < STEPS
    slurm.start_node("n2")
    wait_until(lambda: slurm.state(number) == "PENDING", out)
    slurm.start_pending(number)
    status, said = end(submit(slurm, folder, out))
    assert status == 0, said
    assert f"slurm: follows job {number} again" in said
    assert slurm.state(number) == "COMPLETED"
    assert "Restarts=1" in slurm.ask("scontrol", "show", "job", "-o", str(number))
    straight = job(folder, tmp_path / "straight")
    run_job("training.sft", straight, straight.out_dir, 2)
    assert [row["step"] for row in metrics(out)] == list(range(1, STEPS + 1))
    assert [row["train/loss"] for row in metrics(out)] == pytest.approx(
        [row["train/loss"] for row in metrics(straight.out_dir)], abs=1e-5
    )
    assert_same_weights(out / "torch_dist", straight.out_dir / "torch_dist")


def test_a_signal_before_the_end_requeues_and_control_c_cancels(slurm, folder, tmp_path):
    out = tmp_path / "out"
    submitter = submit(slurm, folder, out)
    wait_until(lambda: steps(out) > 2, out)
    number = job_id(out)
    slurm.ask("scancel", "--batch", "--signal=USR1", str(number))
    wait_until(lambda: slurm.state(number) == "PENDING", out)
    saved = steps(out)
    assert (out / "checkpoints" / f"step_{saved:06}").exists() and saved < STEPS
    slurm.start_pending(number)
    wait_until(lambda: steps(out) > saved, out)
    submitter.send_signal(signal.SIGINT)
    status, said = end(submitter)
    assert status != 0 and f"slurm: job {number} is cancelled" in said
    wait_until(lambda: slurm.state(number) == "CANCELLED", out)
    assert "requeued" in said and said.count("is requeued") == 1


def test_a_stopped_submitter_leaves_the_job_and_other_settings_replace_it(slurm, folder, tmp_path):
    out = tmp_path / "out"
    submitter = submit(slurm, folder, out)
    wait_until(lambda: steps(out) > 2, out)
    number = job_id(out)
    submitter.send_signal(signal.SIGTERM)
    status, said = end(submitter)
    assert status == REQUEUE and f"job {number} goes on" in said
    assert slurm.state(number) == "RUNNING"
    submitter = submit(slurm, folder, out, lr="2e-3")
    wait_until(lambda: job_id(out) != number, out)
    assert slurm.state(number) == "CANCELLED"
    submitter.send_signal(signal.SIGINT)
    assert f"job {number} was submitted with other settings" in end(submitter)[1]


def test_an_error_of_a_node_is_the_submitters(slurm, folder, tmp_path):
    status, said = end(submit(slurm, tmp_path, tmp_path / "out"))
    assert status == 2 and re.search(r"error: .*torch_dist", said), said
