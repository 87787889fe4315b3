"""MLflow that is locked, away, deleted or broken costs no work: what is logged waits and is made up, once."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.night import open_night
from tasks.stage import run_stage
from tasks.tracking import client as mlflow_client
from tasks.tracking import runs as module
from tasks.tracking.runs import NIGHT, STAGE, Tracking
from tests.tasks import tiny_steps

LAYOUT = Layout(Path(), "cpu")
DATABASE = Path("artifacts/mlflow.db")
WAITING = Path("artifacts/cpu/mlflow-waiting")


@pytest.fixture(autouse=True)
def impatient(checkout, monkeypatch):
    """A checkout whose logging waits for no second, and looks at once whether MLflow is back."""
    monkeypatch.setattr(module, "_LOGGING_S", 0.0)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    monkeypatch.setattr(mlflow_client, "PATIENCE_S", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")


@contextmanager
def locked(mode):
    """What a vacuum (EXCLUSIVE) or another writer (IMMEDIATE) does to a database."""
    connection = sqlite3.connect(DATABASE, isolation_level=None)
    connection.execute(f"BEGIN {mode}")
    try:
        yield
    finally:
        connection.execute("COMMIT")
        connection.close()


def log_everything(tracking, run):
    Path("folder").mkdir(exist_ok=True)
    Path("folder/file.txt").write_text("what it was then")
    tracking.log_metrics(run, {"eval/x": 0.5})
    tracking.log_steps(run, [{"step": 1, "train/loss": 1.0}, {"step": 2, "train/loss": 0.5}])
    tracking.log_params(run, {"grpo.steps": 3})
    tracking.log_datasets(run, {"artifacts/cpu/prepare/problems.jsonl": "0123"})
    tracking.log_json(run, "config.json", {"a": 1})
    tracking.log_table(run, "table.json", [{"a": 1}, {"a": 2}])
    tracking.log_path(run, Path("folder"))
    tracking.set_tags(run, {"tag": "value"})
    tracking.finish(run)
    shutil.rmtree("folder")


def check_everything(tracking, night):
    """Each of it is in MLflow, and once."""
    (run,) = tracking._search({NIGHT: night, STAGE: "night"})
    identity = run.info.run_id
    assert run.info.status == "FINISHED" and run.data.tags["tag"] == "value"
    assert run.data.metrics == {"eval/x": 0.5, "train/loss": 0.5} and run.data.params == {"grpo.steps": "3"}
    for metric, points in (("eval/x", [(0, 0.5)]), ("train/loss", [(1, 1.0), (2, 0.5)])):
        history = tracking.client.get_metric_history(identity, metric)
        assert [(point.step, point.value) for point in history] == points
    assert [item.dataset.digest for item in run.inputs.dataset_inputs] == ["0123"]
    artifacts = {entry.path for entry in tracking.client.list_artifacts(identity)}
    assert artifacts == {"config.json", "folder", "table.json"}
    table = tracking.client.load_table(tracking.experiment, "table.json", [identity])
    assert table["a"].tolist() == [1, 2]
    assert list(WAITING.glob("[0-9]*")) == []


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_database_that_is_locked_for_long_gets_everything_later(mode, monkeypatch, capsys):
    monkeypatch.setattr(module, "_AGAIN_S", 1e9)  # each look at a locked SQLite file takes five seconds
    with locked(mode):
        tracking = Tracking(LAYOUT)
        log_everything(tracking, tracking.night_run("first"))
    said = capsys.readouterr().out
    assert said.count("database is locked") == 1 and "waits in artifacts/cpu/mlflow-waiting" in said
    tracking = Tracking(LAYOUT)
    assert tracking.make_up() == 0
    check_everything(tracking, "first")


@pytest.fixture
def away(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return monkeypatch


def test_a_server_that_is_away_gets_everything_later(away, capsys):
    tracking = Tracking(LAYOUT)
    log_everything(tracking, tracking.night_run("first"))
    assert "MLflow at http://127.0.0.1:9 cannot be used" in capsys.readouterr().out
    away.delenv("MLFLOW_TRACKING_URI")
    check_everything(Tracking(LAYOUT), "first")


def test_a_run_that_waits_is_found_again_by_what_it_is(away):
    parent = Tracking(LAYOUT).night_run("first")
    assert Tracking(LAYOUT).night_run("first") == parent
    attempt = Tracking(LAYOUT).stage_run("first", Stage.SFT, "f")
    away.delenv("MLFLOW_TRACKING_URI")
    tracking = Tracking(LAYOUT)
    (night,) = tracking._search({STAGE: "night"})
    (stage,) = tracking._search({STAGE: "sft"})
    assert stage.data.tags["mlflow.parentRunId"] == night.info.run_id
    tracking.finish(attempt)
    assert tracking.client.get_run(stage.info.run_id).info.status == "FINISHED"


def test_a_kill_while_it_is_made_up_repeats_without_a_trace(away, monkeypatch):
    tracking = Tracking(LAYOUT)
    log_everything(tracking, tracking.night_run("first"))
    away.delenv("MLFLOW_TRACKING_URI")
    shutil.copytree(WAITING, "before")
    Tracking(LAYOUT)
    shutil.copytree("before", WAITING, dirs_exist_ok=True)  # all was done, and nothing was forgotten
    check_everything(Tracking(LAYOUT), "first")


def test_a_kill_after_every_other_entry_leaves_each_entry_once(away, monkeypatch):
    """A call that is made and not forgotten yet is made again by the next process."""
    tracking = Tracking(LAYOUT)
    log_everything(tracking, tracking.night_run("first"))
    away.delenv("MLFLOW_TRACKING_URI")
    entries, unlink, made = len(list(WAITING.glob("[0-9]*.json"))), Path.unlink, []

    def killed(path, *arguments, **named):
        if path.parent.name == WAITING.name:
            made.append(path.name)
            if len(made) % 2:
                raise KeyboardInterrupt
        unlink(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        while list(WAITING.glob("[0-9]*.json")):
            with suppress(KeyboardInterrupt):
                Tracking(LAYOUT)
    assert len(made) == 2 * entries
    check_everything(Tracking(LAYOUT), "first")


def test_a_kill_within_the_metrics_of_a_step_completes_it_later(monkeypatch):
    """One request takes a thousand metrics, which would end in the middle of the second step."""
    from mlflow import MlflowClient

    rows = [{"step": step} | {f"m{index}": float(step) for index in range(700)} for step in (1, 2, 3)]
    tracking, log_batch, asked = Tracking(LAYOUT), MlflowClient.log_batch, []

    def killed(*arguments, **named):
        asked.append(True)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return log_batch(*arguments, **named)

    run = tracking.night_run("first")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MlflowClient, "log_batch", killed)
        tracking.log_steps(run, rows)
    Tracking(LAYOUT).log_steps(run, rows)
    connection = sqlite3.connect(DATABASE)
    counted = connection.execute("select step, count(*) from metrics group by step order by step").fetchall()
    connection.close()
    assert counted == [(1, 700), (2, 700), (3, 700)]


def test_an_experiment_deleted_in_the_ui_is_restored(capsys):
    tracking = Tracking(LAYOUT)
    run = tracking.night_run("first")
    tracking.client.delete_experiment(tracking.experiment)
    assert Tracking(LAYOUT).night_run("first") == run
    assert capsys.readouterr().out == (
        "the experiment warpsmith/cpu had been deleted in MLflow; it is restored\n"
    )


def test_what_is_deleted_while_a_stage_runs_is_restored():
    tracking = Tracking(LAYOUT)
    run = tracking.night_run("first")
    tracking.client.delete_experiment(tracking.experiment)
    tracking.log_metrics(run, {"x": 1.0})
    tracking.client.delete_run(run)
    tracking.log_metrics(run, {"y": 1.0})
    assert tracking.client.get_run(run).data.metrics == {"x": 1.0, "y": 1.0}


def test_an_entry_that_can_never_be_logged_holds_up_no_other(capsys):
    tracking = Tracking(LAYOUT)
    tracking.log_metrics("nosuch", {"x": 1.0})
    assert capsys.readouterr().out.startswith("metrics of run nosuch is not in MLflow: ")
    assert tracking.make_up() == 0


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:9", "postgresql://nowhere/x"])
def test_every_question_ends_in_one_sentence(uri, monkeypatch):
    if uri is None:
        DATABASE.write_bytes(b"no database" * 1000)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracking = Tracking(LAYOUT)
    for ask in (lambda: tracking.experiment, lambda: tracking.client.search_registered_models("name = 'x'")):
        with pytest.raises(WarpsmithError, match=r"MLflow at .* cannot be used: ") as caught:
            ask()
        assert "\n" not in str(caught.value)
    if uri and uri.startswith("postgresql"):
        assert "pip install psycopg2-binary" in str(caught.value)


def test_a_finished_stage_stays_finished_without_mlflow(away):
    open_night(LAYOUT, "first", lambda: None)
    for stage in (Stage.PREPARE, Stage.VALIDATE, Stage.BASE, Stage.CONVERT):
        run_stage(LAYOUT, stage, tiny_steps.STEPS[stage])
    assert LAYOUT.manifest(Stage.CONVERT).exists()
    away.delenv("MLFLOW_TRACKING_URI")
    tracking = Tracking(LAYOUT)
    (run,) = tracking._search({STAGE: "prepare"})
    assert run.info.status == "FINISHED" and run.data.metrics == {"data/problems": 2.0}
