"""A whole small night whose stages are Slurm's jobs: its flow is killed in GRPO, and the next one goes on."""

import json

import pytest

from tasks.disk.layout import Stage
from tests.flows.small_night import finish, make_checkout, start, wait
from tests.slurm import cluster, missing

FLAGS = ["--launcher-kind", "slurm", "--launcher-nodes", "2", "--launcher-poll-s", "0.5"]


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_night_of_jobs_survives_its_flow(tmp_path, monkeypatch):
    layout, log = make_checkout(tmp_path / "checkout"), tmp_path / "log"
    with cluster(tmp_path / "slurm") as slurm:
        for name in ("SLURM_CONF", "PATH"):
            monkeypatch.setenv(name, slurm.environment[name])
        work = layout.training("2026-01-01", Stage.GRPO)
        night = start(layout, log, *FLAGS)
        wait(lambda: night.poll() is not None or (work / "slurm.job").exists(), "no job for GRPO")
        assert night.poll() is None, log.read_text()[-4000:]
        job = int((work / "slurm.job").read_text())
        night.kill()
        night.wait()
        finish(layout, log, *FLAGS)
        assert slurm.state(job) == "COMPLETED"
    steps = [json.loads(line)["step"] for line in (work / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    said = log.read_text()
    assert said.count("is submitted") == 6  # prepare, convert, sft, grpo, export and evaluate, once each
    assert (layout.stage(Stage.EVALUATE) / "report.html").exists()
    assert (work / "stderr.node-1.log").exists()
