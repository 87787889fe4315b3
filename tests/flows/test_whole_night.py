"""A whole small night through Prefect and DVC: killed in GRPO, taken up again, then asked for again."""

import json
import sqlite3

import pytest

from tasks.disk.layout import Stage
from tests.flows.small_night import finish, git, kill, make_checkout, start, wait


@pytest.mark.slow
def test_a_killed_night_ends_as_asked_and_runs_nothing_twice(tmp_path):
    layout, log = make_checkout(tmp_path / "checkout"), tmp_path / "log"
    metrics = layout.training("2026-01-01", Stage.GRPO) / "metrics.jsonl"
    night = start(layout, log)
    wait(lambda: night.poll() is not None or (metrics.exists() and metrics.read_text()), "no step of GRPO")
    assert night.poll() is None, log.read_text()[-4000:]
    kill(layout, night)

    finish(layout, log)
    made = {stage: layout.manifest(stage).read_bytes() for stage in Stage}
    page = (layout.report("2026-01-01") / "index.html").read_text()
    assert "<polyline" in page and page.count("<details data-text=") > 1
    assert "<h2>Step 3</h2>" in (layout.report("2026-01-01") / "trajectories.html").read_text()
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2, 3]
    prefect = sqlite3.connect(layout.root / "artifacts/prefect/prefect.db")
    assert prefect.execute("select message from log where message like '[grpo] done in %'").fetchall()
    prefect.close()

    finish(layout, log, "--evaluation-workers", "1")
    assert {stage: layout.manifest(stage).read_bytes() for stage in Stage} == made
    assert git(layout.root, "status", "--porcelain") == ""
