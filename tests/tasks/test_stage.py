"""What all stages share, tried on tiny stages with a real MLflow database."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks import stage as stage_module
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.night import active_settings, open_night
from tasks.stage import main, run_stage
from tasks.tracking import runs as tracking
from tasks.tracking.runs import ERROR, FINGERPRINT, STAGE, Tracking
from tests.tasks import tiny_steps
from training.launch.local import Requeue
from training.launch.lock import exclusive


@pytest.fixture
def layout(checkout):
    """A checkout with an open night and what earlier stages would have written."""
    layout = Layout(Path(), "cpu")
    open_night(layout, "first", lambda: None)
    for stage, file in ((Stage.BASE, "hf/w"), (Stage.CONVERT, "torch_dist/w"), (Stage.PREPARE, "sft.jsonl")):
        path = layout.stage(stage) / file
        path.parent.mkdir(parents=True)
        path.write_text("1")
    return layout


def runs(layout, stage):
    """The stage's MLflow runs, newest first."""
    return Tracking(layout)._search({STAGE: stage.value})


def sleepless_death(context):
    """A training stage that is interrupted after its first checkpoint."""
    (context.work / "checkpoints" / "step_000000").mkdir(parents=True)
    (context.work / "metrics.jsonl").write_text('{"step": 0, "train/loss": 1.0}\n')
    raise KeyboardInterrupt


def test_a_stage_ends_with_its_manifest_and_its_run(layout):
    manifest = run_stage(layout, Stage.SFT, tiny_steps.sft)
    assert manifest == Manifest.read(layout.manifest(Stage.SFT))
    assert {"artifacts/cpu/convert/torch_dist", "artifacts/cpu/prepare/sft.jsonl", "training/sft.py"} <= set(
        manifest.inputs
    )
    (run,) = runs(layout, Stage.SFT)
    assert run.info.run_id == manifest.mlflow_run_id and run.info.status == "FINISHED"
    assert run.data.metrics == {"train/loss": 0.5}
    digests = {item.dataset.name: item.dataset.digest for item in run.inputs.dataset_inputs}
    assert digests["sft.jsonl"] == manifest.inputs["artifacts/cpu/prepare/sft.jsonl"]
    assert run.data.tags["mlflow.parentRunId"] == Tracking(layout).night_run("first")


def test_runs_can_be_compared_by_the_settings_that_they_read(layout):
    open_night(layout, "first", lambda: None, overrides={"grpo": {"steps": 3}})
    (layout.stage(Stage.SFT) / "torch_dist").mkdir(parents=True)
    (layout.stage(Stage.SFT) / "torch_dist" / "w").write_text("1")
    (layout.stage(Stage.PREPARE) / "prompts").mkdir()
    for path in ("problems.jsonl", "prompts/train.jsonl", "prompts/validation.jsonl"):
        (layout.stage(Stage.PREPARE) / path).write_text("1")
    run_stage(layout, Stage.GRPO, tiny_steps.grpo)
    (run,) = runs(layout, Stage.GRPO)
    assert run.data.params["grpo.steps"] == "3" and "rollout.temperature" in run.data.params
    assert len(run.data.params) > 100  # more than one request takes


def test_an_interrupted_training_stage_keeps_its_checkpoints_and_resumes(layout):
    with pytest.raises(KeyboardInterrupt):
        run_stage(layout, Stage.SFT, sleepless_death)
    assert not layout.manifest(Stage.SFT).exists()
    assert layout.failure(Stage.SFT).read_text() == "stopped; `make nightly` goes on from here\n"
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    metrics = layout.stage(Stage.SFT) / "metrics.jsonl"
    assert [json.loads(line)["step"] for line in metrics.open()] == [0, 1]


def change_code():
    with Path("training/sft.py").open("a") as file:
        file.write("# a fix\n")


def change_inputs():
    Path("artifacts/cpu/prepare/sft.jsonl").write_text("2")


def change_settings():
    open_night(Layout(Path(), "cpu"), "first", lambda: None, {"sft": {"lr": 1e-9}})


def another_night():
    layout = Layout(Path(), "cpu")
    open_night(layout, "second", lambda: None)
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    open_night(layout, "first", lambda: None)


@pytest.mark.parametrize("change", [change_code, change_inputs, change_settings, another_night])
def test_nothing_that_a_training_stage_has_made_is_deleted(layout, change):
    """What of it the trainer goes on with is the trainer's to decide (training/checkpoint/snapshots.py)."""
    with pytest.raises(KeyboardInterrupt):
        run_stage(layout, Stage.SFT, sleepless_death)
    change()
    seen = []
    run_stage(layout, Stage.SFT, lambda context: seen.extend(context.work.glob("checkpoints/*")) or {})
    assert [path.name for path in seen] == ["step_000000"] and seen[0].is_dir()


def checkpoints(layout, stage=Stage.SFT):
    return sorted(path.name for path in layout.training("first", stage).glob("checkpoints/*"))


def test_a_finished_run_of_other_code_is_set_aside_and_named(layout, capsys):
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    assert checkpoints(layout) == ["step_000000", "step_000001"]
    change_code()
    capsys.readouterr()
    run_stage(layout, Stage.SFT, lambda context: {})
    aside = layout.training("first", Stage.SFT).with_name("sft.old-1")
    assert len(list(aside.glob("checkpoints/*"))) == 2 and checkpoints(layout) == []
    assert f"what it had made is in {aside} now" in capsys.readouterr().out


def test_a_finished_run_goes_on_to_more_steps(layout):
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    more = {"sft": {"steps": active_settings(layout)[0].sft.steps + 1}}
    open_night(layout, "first", lambda: None, more)
    run_stage(layout, Stage.SFT, lambda context: {})
    assert checkpoints(layout) == ["step_000000", "step_000001"]


def test_a_complete_result_is_set_aside_where_dvc_has_no_copy(layout):
    run_stage(layout, Stage.CONVERT, tiny_steps.convert)
    run_stage(layout, Stage.CONVERT, tiny_steps.convert)
    assert (layout.home / "convert.old-1" / "torch_dist").is_dir()


@pytest.mark.parametrize("error", [RuntimeError("no such table"), Requeue("asked to stop")])
def test_a_finished_stage_stays_finished_whatever_becomes_of_its_record(layout, monkeypatch, capsys, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Tracking, "log_datasets", fail)
    manifest = run_stage(layout, Stage.CONVERT, tiny_steps.convert)
    assert Manifest.read(layout.manifest(Stage.CONVERT)) == manifest
    assert f"[convert] is done, but MLflow lacks a part of its record: {error}" in capsys.readouterr().out


def test_metrics_lie_beside_the_manifest_for_dvc(layout):
    manifest = run_stage(layout, Stage.SFT, tiny_steps.sft)
    assert json.loads((layout.stage(Stage.SFT) / "metrics.json").read_text()) == manifest.metrics


def test_a_killed_attempt_leaves_a_run_that_the_next_attempt_continues(layout):
    tracking = Tracking(layout)
    orphan = tracking.stage_run("first", Stage.SFT, "fingerprint")
    assert tracking.stage_run("first", Stage.SFT, "fingerprint") == orphan
    assert tracking.stage_run("first", Stage.SFT, "another") != orphan
    assert tracking.client.get_run(orphan).info.status == "KILLED"


def test_a_failed_stage_leaves_the_reason_and_the_next_attempt_begins_clean(layout):
    def half(context):
        (context.out / "half.txt").write_text("half")
        raise WarpsmithError("the table is wrong; correct it")

    with pytest.raises(WarpsmithError, match="table is wrong"):
        run_stage(layout, Stage.CONVERT, half)
    assert not layout.manifest(Stage.CONVERT).exists()
    assert layout.failure(Stage.CONVERT).read_text() == "the table is wrong; correct it\n"
    (run,) = runs(layout, Stage.CONVERT)
    assert run.info.status == "FAILED" and "table is wrong" in run.data.tags[ERROR]
    run_stage(layout, Stage.CONVERT, tiny_steps.convert)
    assert not (layout.stage(Stage.CONVERT) / "half.txt").exists()


def test_a_full_disk_is_said_to_be_one(layout):
    def full(context):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WarpsmithError, match="disk that holds artifacts/ is full"):
        run_stage(layout, Stage.SFT, full)


def test_an_error_beside_a_full_disk_is_the_disks(layout, monkeypatch):
    def confused(context):
        raise RuntimeError("database or disk is full")

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    with pytest.raises(WarpsmithError, match="is full"):
        run_stage(layout, Stage.SFT, confused)


def test_a_bug_keeps_its_traceback(layout):
    with pytest.raises(ZeroDivisionError):
        run_stage(layout, Stage.SFT, lambda context: {"x": 1 / 0})


def test_a_stage_that_runs_already_is_left_alone(layout):
    with (
        exclusive(layout.lock(Stage.SFT), ""),
        pytest.raises(WarpsmithError, match="stage sft of profile cpu is run"),
    ):
        run_stage(layout, Stage.SFT, tiny_steps.sft)


def test_a_new_run_of_a_stage_has_a_run_of_its_own(layout):
    first = run_stage(layout, Stage.SFT, tiny_steps.sft).mlflow_run_id
    assert run_stage(layout, Stage.SFT, tiny_steps.sft).mlflow_run_id != first
    assert len({run.data.tags[FINGERPRINT] for run in runs(layout, Stage.SFT)}) == 1


def test_command_line_explains_itself(layout, capsys, monkeypatch):
    monkeypatch.setattr(stage_module, "die_with_parent", lambda: None)
    assert main(["sft", "--profile", "nosuch"]) == 2
    assert capsys.readouterr().err == "error: there is no profile `nosuch`; the nearest valid name is `cpu`\n"


def test_an_unreachable_mlflow_is_named_and_ends_nothing(layout, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "_LOGGING_S", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run_stage(layout, Stage.SFT, tiny_steps.sft)
    assert "MLflow at http://127.0.0.1:9 cannot be used" in capsys.readouterr().out
    assert layout.manifest(Stage.SFT).exists()
