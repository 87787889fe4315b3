"""The MLflow database appears whole or not at all, and runs are found again by what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.disk.layout import Layout, Stage
from tasks.tracking.client import make_database, tracking_uri
from tasks.tracking.runs import Tracking


@pytest.fixture
def tracking(checkout):
    return Tracking(Layout(Path(), "cpu"))


def test_a_database_that_is_cut_short_never_gets_its_name(tmp_path, monkeypatch):
    import mlflow

    def killed(uri):
        Path(uri.removeprefix("sqlite:///")).write_text("half")
        raise KeyboardInterrupt

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(mlflow, "MlflowClient", killed)
    with pytest.raises(KeyboardInterrupt):
        make_database(tmp_path)
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_database_that_exists_is_left_alone(checkout):
    before = Path("artifacts/mlflow.db").stat().st_ino
    make_database(checkout)
    assert Path("artifacts/mlflow.db").stat().st_ino == before


def test_the_users_server_is_honoured(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert tracking_uri(tmp_path) == "http://server"


def test_a_night_has_one_run_and_each_stage_attempt_hangs_below_it(tracking):
    parent = tracking.night_run("first")
    assert tracking.night_run("first") == parent != tracking.night_run("second")
    child = tracking.client.get_run(tracking.stage_run("first", Stage.SFT, "f"))
    assert child.data.tags["mlflow.parentRunId"] == parent


def test_steps_that_a_run_has_are_not_logged_again(tracking):
    run = tracking.night_run("first")
    tracking.log_steps(run, [{"step": step, "train/loss": 1.0, "train/lr": 0.1} for step in range(1, 700)])
    tracking.log_steps(run, [{"step": step, "train/loss": 2.0} for step in (698, 699, 700)])
    history = tracking.client.get_metric_history(run, "train/loss")
    assert sorted(point.step for point in history) == list(range(1, 701))
    assert [point.value for point in history if point.step >= 699] == [1.0, 2.0]


def test_a_table_comes_back_row_by_row(tracking):
    run = tracking.night_run("first")
    tracking.log_table(
        run, "table.json", [{"problem": "a", "speedup": 1.5}, {"problem": "b", "speedup": None}]
    )
    found = tracking.client.load_table(tracking.experiment, "table.json", [run])
    assert found["problem"].tolist() == ["a", "b"]
    assert found["speedup"][0] == 1.5


def test_another_profile_is_another_experiment(tracking):
    assert Tracking(Layout(Path(), "other")).experiment != tracking.experiment
