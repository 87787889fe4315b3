"""A whole small night through Prefect and DVC: killed in GRPO, taken up again, then asked for again."""

import json
import sqlite3

import pytest

from tasks.disk.layout import Stage
from tests.flows.small_night import MIXED, QUESTIONS, finish, git, kill, make_checkout, start, wait


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "changed", "task"),
    [("math-cpu", QUESTIONS, "math"), ("cpu", MIXED, "mixed")],
    ids=["math", "mixed"],
)
def test_a_night_of_questions_is_reported_and_registered_as_any_other(tmp_path, base, changed, task):
    layout, log = make_checkout(tmp_path / "checkout", base, changed), tmp_path / "log"
    finish(layout, log)
    report = json.loads((layout.stage(Stage.EVALUATE) / "report.json").read_text())
    math = report if task == "math" else report["math"]
    assert report["task"] == task
    assert math["problems"] == len(math["per_problem"]) > 0
    assert "Held-out questions" in (layout.stage(Stage.EVALUATE) / "report.html").read_text()
    metrics = json.loads(layout.manifest(Stage.EVALUATE).read_text())["metrics"]
    assert {"eval/heldout/correct_rate", "eval/heldout/gain_ci_low"} <= metrics.keys()
    rollouts = [
        json.loads(line) for line in (layout.stage(Stage.GRPO) / "rollouts.jsonl").read_text().splitlines()
    ]
    assert {row["status"] for row in rollouts} <= {
        *("correct", "wrong", "no_answer", "timeout"),
        *("unparsable", "rejected", "compile_error"),
    }
    decision = json.loads(layout.decision("2026-01-01").read_text())
    assert decision["version"] == "1"
    assert git(layout.root, "status", "--porcelain") == ""
