"""A model's record says what it was made of, and verifying it finds what was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tasks import lineage
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.promotion import promote
from tasks.night import open_night
from tasks.registry import Registry
from tasks.tracking.runs import Tracking
from tests.tasks.models.test_gate import FIRST_HALF, benchmark


@pytest.fixture
def tracking(checkout):
    """A night whose stages are done, whose model is the champion, with its record."""
    commit = "git -c user.name=t -c user.email=t@t commit -qm 1"
    subprocess.run(f"git init -q && git add evaluation/problem.py && {commit}", shell=True, check=True)
    layout = Layout(Path(), "cpu")
    night = open_night(layout, "n", lambda: None)
    tracking = Tracking(layout)
    run = tracking.night_run("n")
    for stage in Stage:
        layout.stage(stage).mkdir(parents=True)
    (layout.stage(Stage.PREPARE) / "problems.jsonl").write_text("{}")
    inputs = {
        path: lineage.path_md5(Path(path))
        for path in ("evaluation/problem.py", "artifacts/cpu/prepare/problems.jsonl")
    }
    for stage in Stage:
        Manifest(
            stage=stage, profile="cpu", inputs=inputs, config_hash="c0ffee", code_revision="r",
            mlflow_run_id=run, seconds=3, metrics={},
        ).write(layout.manifest(stage))  # fmt: skip
    (layout.stage(Stage.GRPO) / "metrics.jsonl").write_text('{"step": 7}\n')
    (layout.stage(Stage.EXPORT) / "model").mkdir()
    (layout.stage(Stage.EXPORT) / "model" / "w").write_text("one")
    (layout.stage(Stage.EVALUATE) / "report.json").write_text(benchmark(FIRST_HALF).model_dump_json())
    promotion = promote(layout, night, Registry(tracking))
    lineage.keep_lineage(layout, tracking, lineage.record(layout, night, promotion, "flow-run", run))
    return tracking


MODEL = "models:/warpsmith-cpu@champion"


def parts(tracking) -> dict[str, str]:
    return {one.part: one.found.value for one in lineage.verify(tracking, MODEL)}


def test_a_record_explains_and_verifies(tracking, capsys):
    assert set(parts(tracking).values()) == {"same"}
    assert lineage.main(["explain", MODEL]) == 0
    said = capsys.readouterr().out
    assert "models:/warpsmith-cpu/1, trained in night n" in said and "step 7 of GRPO" in said
    assert "Prefect run   flow-run" in said and "settings c0ffee" in said
    assert "read artifacts/cpu/prepare/problems.jsonl 99914b932bd37a50b983c5e7c90ae93b" in said
    assert lineage.main(["verify", MODEL]) == 0


def test_what_was_changed_is_different_and_what_is_away_is_gone(tracking, capsys):
    Path("evaluation/problem.py").write_text("changed")
    Path("artifacts/cpu/prepare/problems.jsonl").write_text("{} ")
    found = parts(tracking)
    assert found["code: changes"] == found["code: what stages read"] == "DIFFERENT"
    assert found["artifacts/cpu/prepare/problems.jsonl"] == "gone" and found["weights"] == "same"
    record = lineage.lineage_file(tracking.layout, "models:/warpsmith-cpu/1")
    record.write_text(record.read_text().replace("c0ffee", "tea000", 1))
    assert lineage.main(["verify", MODEL]) == 1
    assert "DIFFERENT  record: " in capsys.readouterr().out


def test_the_record_comes_from_mlflow_where_it_is_not_on_this_disk(tracking):
    record = lineage.lineage_file(tracking.layout, "models:/warpsmith-cpu/1")
    record.unlink()
    assert parts(tracking)["record"] == "same" and record.exists()


@pytest.mark.parametrize(("version", "reason"), [("9", "no registered model"), ("1", "has no record")])
def test_a_model_without_a_record_is_one_sentence(tracking, capsys, version, reason):
    record = lineage.lineage_file(tracking.layout, "models:/warpsmith-cpu/1")
    record.rename(record.with_name("elsewhere.json"))
    for kept in Path("artifacts/mlartifacts").rglob("version-1.json"):
        kept.unlink()
    assert lineage.main(["explain", f"models:/warpsmith-cpu/{version}"]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
