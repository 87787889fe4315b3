"""The nightly flow over tiny stages: order, skipping, failing, two nights, and what it leaves behind."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks import night, night_tasks
from tasks.disk.layout import Layout, Stage
from tasks.night import active_settings
from tasks.stage import run_stage
from tasks.stages.dvc_stage import How, Outcome, StageCrashed
from tasks.tracking.runs import ERROR, NIGHT, STAGE, Tracking
from tests.tasks import tiny_steps

pytestmark = pytest.mark.usefixtures("prefect_server")


class TinyDvc:
    """Stands in for DVC: runs stages in this process, and skips one whose manifest is of the active night."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.prints = False
        self.failures: dict[Stage, list[Exception]] = {}
        self._done: set[tuple[str, Stage]] = set()

    def __call__(self, layout, stage, *, force=False):
        for error in self.failures.pop(stage, [])[:1]:
            raise error
        key = (layout.night_file.read_text(), stage)
        if key in self._done and not force:
            return Outcome(stage=stage, how=How.SKIPPED, seconds=0)
        if self.prints:
            subprocess.run(f"echo step 1 of {stage}", shell=True)
        run_stage(layout, stage, tiny_steps.STEPS[stage])
        self._done.add(key)
        self.ran.append(stage.value)
        return Outcome(stage=stage, how=How.RAN, seconds=0)


@pytest.fixture
def dvc(checkout, monkeypatch):
    tiny = TinyDvc()
    monkeypatch.setattr(night_tasks, "run_through_dvc", tiny)
    monkeypatch.setattr(night_tasks, "push", lambda layout: 0)
    monkeypatch.setattr(night_tasks, "is_up_to_date", lambda layout, stage: layout.manifest(stage).exists())
    return tiny


@pytest.fixture
def nightly(dvc):
    from flows.nightly import nightly

    return nightly


@pytest.fixture
def log():
    """What the runs log from here on."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    loggers = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


def night_runs():
    tracking = Tracking(Layout(Path(), "cpu"))
    return {run.data.tags[NIGHT]: run for run in reversed(tracking._search({STAGE: "night"}))}


def test_a_night_runs_every_stage_in_order_and_the_second_time_none(nightly, dvc, capfd):
    dvc.prints = True
    nightly()
    assert "step 1 of grpo\n" in capfd.readouterr().out
    assert dvc.ran == [stage.value for stage in Stage]
    nightly()
    assert len(dvc.ran) == len(Stage)
    (run,) = night_runs().values()
    assert run.info.status == "FINISHED"
    client, experiment = Tracking(Layout(Path(), "cpu")).client, run.info.experiment_id
    stages = client.load_table(experiment, "stages.json", [run.info.run_id]).set_index("stage")
    assert stages["outcome"]["sft"] == "skipped"
    child = client.get_run(stages["MLflow run"]["sft"])
    assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
    assert "Held-out correct@1: **0.0 % before GRPO, 50.0 % after" in run.data.tags["mlflow.note.content"]
    assert (
        "Data: 1 of 2 expectations hold; a warning: few_zeros (see " in run.data.tags["mlflow.note.content"]
    )
    assert run.data.metrics["eval/heldout/correct_rate"] == 0.5
    assert run.data.params["grpo.steps"] == "60" and "rollout.temperature" in run.data.params
    assert "problems.jsonl" in {item.dataset.name for item in run.inputs.dataset_inputs}
    check_prefects_pages()


def check_prefects_pages():
    """An artifact of every task, and what a stage has printed."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        keys = {artifact.key for artifact in client.read_artifacts(limit=200)}
        deadline = time.monotonic() + 30  # logs are sent in batches
        while "step 1 of grpo" not in [entry.message for entry in client.read_logs(limit=200)]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert {f"stage-{stage}" for stage in Stage} <= keys
    assert {"night", "promotion", "push", "stages", "benchmark"} <= keys


def test_two_nights_are_two_parent_runs_and_the_second_starts_from_the_champion(nightly, dvc):
    """The second is that of the date; a stage that crashes is tried once more."""
    dvc.failures[Stage.GRPO] = [StageCrashed("out of memory")]
    nightly()
    nightly(night="today")
    runs, today = night_runs(), time.strftime("%Y-%m-%d")
    assert set(runs) == {"2026-01-01", today}
    assert "started from the champion of 2026-01-01" in runs[today].data.tags["mlflow.note.content"]
    weights = Path("artifacts/cpu/base/hf/w").read_text()
    assert weights.startswith("base sft2 2026-01-01 grpo") and weights.endswith(" 2026-01-01")
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        assert f"night {today}" in {run.name for run in client.read_flow_runs()}


def test_a_stage_that_explains_its_failure_fails_the_night_at_once(nightly, dvc, log):
    dvc.failures[Stage.VALIDATE] = [WarpsmithError("row 3 is wrong; correct it")]
    with pytest.raises(WarpsmithError, match="row 3 is wrong"):
        nightly()
    assert dvc.ran == ["prepare"]
    (run,) = night_runs().values()
    assert run.info.status == "FAILED" and run.data.tags[ERROR] == "row 3 is wrong; correct it"
    errors = [record for record in log if record.levelno >= logging.ERROR]
    assert any("row 3 is wrong" in record.getMessage() for record in errors)
    assert not any(record.exc_info for record in errors)
    nightly()
    (run,) = night_runs().values()
    assert run.info.status == "FINISHED" and ERROR not in run.data.tags


class Cancelled(BaseException):
    """As Prefect ends a flow that is cancelled."""


def test_a_cancelled_night_and_its_stage_are_killed_in_mlflow(nightly, dvc):
    def cancelled(layout, stage, *, force=False):
        if stage is Stage.SFT:
            Tracking(layout).stage_run("2026-01-01", stage, "f")
            raise Cancelled
        return TinyDvc.__call__(dvc, layout, stage, force=force)

    night_tasks.run_through_dvc = cancelled
    with pytest.raises(Cancelled):
        nightly()
    tracking = Tracking(Layout(Path(), "cpu"))
    status = {run.data.tags[STAGE]: run.info.status for run in tracking._search({NIGHT: "2026-01-01"})}
    assert status["night"] == status["sft"] == "KILLED"


def test_a_remote_that_is_full_costs_one_sentence(nightly, monkeypatch):
    """And what a SIGKILL left running in MLflow is closed by the next night."""
    from flows import nightly as module

    said = []
    for one in (night_tasks, module):
        monkeypatch.setattr(one, "say", said.append)

    def full(layout):
        raise WarpsmithError("DVC: 64 files failed to upload")

    monkeypatch.setattr(night_tasks, "push", full)
    tracking = Tracking(Layout(Path(), "cpu"))
    lost = tracking.stage_run("2025-12-31", Stage.GRPO, "f")
    nightly()
    status = {night: run.info.status for night, run in night_runs().items()}
    assert status == {"2025-12-31": "KILLED", "2026-01-01": "FINISHED"}
    assert tracking.client.get_run(lost).info.status == "KILLED"
    assert "Night 2026-01-01, profile cpu" in said[-2] and "64 files failed to upload" in said[-1]
    assert "/#/experiments/1/runs?workflowType=machine_learning" in said[-2]


@pytest.mark.parametrize(
    "parameters", [{"night": "a b"}, {"night": "../x"}, {"profile": "a/b"}, {"nigth": "x"}]
)
def test_bad_parameters_are_refused_before_anything_runs(nightly, dvc, parameters):
    with pytest.raises(Exception, match=r"night|profile|nigth"):
        nightly(**parameters)
    assert dvc.ran == [] and not Path("artifacts/cpu/night.yaml").exists()


def test_evaluate_judges_the_trained_night_again(nightly, dvc):
    from flows.evaluate import evaluate

    with pytest.raises(WarpsmithError, match="no night is open"):
        evaluate()
    dvc.failures[Stage.GRPO] = [WarpsmithError("stopped")]
    with pytest.raises(WarpsmithError, match="stopped"):
        nightly()
    with pytest.raises(WarpsmithError, match="is not trained to the end"):
        evaluate()
    nightly()
    evaluate(force=True)
    assert dvc.ran[-1] == "evaluate" and len(dvc.ran) == len(Stage) + 1


def test_flags_are_those_of_the_launch_and_are_announced(nightly, monkeypatch):
    """Other steps are another run in MLflow, another machine setting is not; `make setup` is no launch."""
    said, layout = [], Layout(Path(), "cpu")
    monkeypatch.setattr(night_tasks, "say", said.append)
    assert night.main([]) == 0
    nightly(arguments=("--grpo-steps", "3"))
    assert "flags set grpo.steps=3" in said and not any("launched last" in line for line in said)
    assert night_runs().popitem()[1].data.tags["warpsmith.flags"] == "grpo.steps=3"
    assert len(list(layout.training("2026-01-01", Stage.GRPO).glob("checkpoints/*"))) == 3
    said.clear()
    nightly(arguments=("--evaluation-workers", "1"))
    assert any("launched last, flags set grpo.steps=3;" in line for line in said)
    assert night_runs().popitem()[1].data.tags["warpsmith.flags"] == "evaluation.workers=1"
    nightly()
    assert night_runs().popitem()[1].data.tags["warpsmith.flags"] == "none"
    runs = Tracking(layout)._search({STAGE: "night"})
    assert [run.data.params["grpo.steps"] for run in runs] == ["60", "3"]
    assert active_settings(layout)[0].grpo.steps == 60


def test_a_wrong_flag_fails_the_night_before_anything_is_written(nightly, dvc):
    with pytest.raises(WarpsmithError, match="the nearest valid one is `--grpo-steps`"):
        nightly(arguments=("--grpo-stepz", "3"))
    assert dvc.ran == [] and not Path("artifacts/cpu/night.yaml").exists()
