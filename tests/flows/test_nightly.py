"""The nightly flow over tiny stages: order, skipping, failing, two nights, and what it leaves behind."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks import night, night_tasks
from tasks.dvc_stage import How, Outcome, StageCrashed
from tasks.layout import Layout, Stage
from tasks.night import active_settings
from tasks.stage import run_stage
from tasks.tracking import ERROR, NIGHT, STAGE, Tracking
from tests.tasks import tiny_steps

pytestmark = pytest.mark.usefixtures("prefect_server")


class TinyDvc:
    """Stands in for DVC: runs stages in this process, and skips one whose manifest is of the active night."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failures: dict[Stage, list[Exception]] = {}
        self._done: set[tuple[str, Stage]] = set()

    def __call__(self, layout, stage, *, force=False):
        for error in self.failures.pop(stage, [])[:1]:
            raise error
        key = (layout.night_file.read_text(), stage)
        if key in self._done and not force:
            return Outcome(stage=stage, how=How.SKIPPED, seconds=0)
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


def test_a_night_runs_every_stage_in_order_and_the_second_time_none(nightly, dvc):
    nightly()
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
    assert run.data.metrics["eval/heldout/correct_rate"] == 0.5
    assert run.data.params["grpo.steps"] == "60" and "rollout.temperature" in run.data.params
    assert "problems.jsonl" in {item.dataset.name for item in run.inputs.dataset_inputs}


def test_two_nights_are_two_parent_runs_and_the_second_starts_from_the_champion(nightly):
    nightly()
    nightly(night="2026-12-01")
    runs = night_runs()
    assert set(runs) == {"2026-01-01", "2026-12-01"}
    assert "started from the champion of 2026-01-01" in runs["2026-12-01"].data.tags["mlflow.note.content"]
    weights = Path("artifacts/cpu/base/hf/w").read_text()
    assert weights.startswith("base sft2 2026-01-01 grpo") and weights.endswith(" 2026-01-01")


def test_today_is_a_night_with_the_date_as_its_name(nightly):
    nightly(night="today")
    assert set(night_runs()) == {time.strftime("%Y-%m-%d")}


def test_every_task_publishes_an_artifact(nightly):
    nightly()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        keys = {artifact.key for artifact in client.read_artifacts(limit=200)}
    assert {f"stage-{stage}" for stage in Stage} | {
        "night",
        "promotion",
        "push",
        "stages",
        "benchmark",
    } <= keys


def test_a_stage_that_explains_its_failure_fails_the_night_at_once(nightly, dvc):
    dvc.failures[Stage.VALIDATE] = [WarpsmithError("row 3 is wrong; correct it")]
    with pytest.raises(WarpsmithError, match="row 3 is wrong"):
        nightly()
    assert dvc.ran == ["prepare"]
    (run,) = night_runs().values()
    assert run.info.status == "FAILED" and run.data.tags[ERROR] == "row 3 is wrong; correct it"
    nightly()
    assert night_runs().popitem()[1].info.status == "FINISHED"


def test_a_finished_night_has_no_error_of_an_earlier_launch(nightly, dvc):
    dvc.failures[Stage.VALIDATE] = [WarpsmithError("row 3 is wrong; correct it")]
    with pytest.raises(WarpsmithError):
        nightly()
    nightly()
    assert ERROR not in night_runs()["2026-01-01"].data.tags


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


def test_what_a_sigkill_left_running_is_closed_by_the_next_night(nightly):
    tracking = Tracking(Layout(Path(), "cpu"))
    lost = tracking.stage_run("2025-12-31", Stage.GRPO, "f")
    nightly()
    assert tracking.client.get_run(lost).info.status == "KILLED"
    assert night_runs()["2025-12-31"].info.status == "KILLED"


def test_a_remote_that_is_full_costs_one_sentence(nightly, monkeypatch):
    from flows import nightly as module

    said = []
    for one in (night_tasks, module):
        monkeypatch.setattr(one, "say", said.append)

    def full(layout):
        raise WarpsmithError("DVC: 64 files failed to upload")

    monkeypatch.setattr(night_tasks, "push", full)
    nightly()
    assert night_runs().popitem()[1].info.status == "FINISHED"
    assert "Night 2026-01-01, profile cpu" in said[-2] and "64 files failed to upload" in said[-1]
    assert "/#/experiments/1/runs?workflowType=machine_learning" in said[-2]


def test_another_machine_setting_is_the_same_night_in_mlflow_and_another_step_count_is_not(nightly):
    nightly()
    nightly(arguments=("--evaluation-workers", "1"))
    tracking = Tracking(Layout(Path(), "cpu"))
    assert len(tracking._search({STAGE: "night"})) == 1
    nightly(arguments=("--grpo-steps", "3"))
    steps = [run.data.params["grpo.steps"] for run in tracking._search({STAGE: "night"})]
    assert steps == ["3", "60"]


def test_a_flow_run_is_named_after_its_night(nightly):
    nightly(night="2026-12-07")
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        assert "night 2026-12-07" in {run.name for run in client.read_flow_runs()}


def test_an_explained_failure_leaves_no_traceback_in_the_log(nightly, dvc, log):
    dvc.failures[Stage.VALIDATE] = [WarpsmithError("row 3 is wrong; correct it")]
    with pytest.raises(WarpsmithError):
        nightly()
    errors = [record for record in log if record.levelno >= logging.ERROR]
    assert any("row 3 is wrong" in record.getMessage() for record in errors)
    assert not any(record.exc_info for record in errors)


def test_a_crashed_stage_is_tried_once_more(nightly, dvc):
    dvc.failures[Stage.GRPO] = [StageCrashed("out of memory")]
    nightly()
    assert "grpo" in dvc.ran


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
    nightly()
    evaluate(force=True)
    assert dvc.ran[-1] == "evaluate" and len(dvc.ran) == len(Stage) + 1


def test_evaluate_refuses_a_night_that_is_not_trained(nightly, dvc):
    from flows.evaluate import evaluate

    dvc.failures[Stage.GRPO] = [WarpsmithError("stopped")]
    with pytest.raises(WarpsmithError, match="stopped"):
        nightly()
    with pytest.raises(WarpsmithError, match="is not trained to the end"):
        evaluate()


def test_flags_are_those_of_the_launch_and_are_announced(nightly, monkeypatch):
    said = []
    monkeypatch.setattr(night_tasks, "say", said.append)
    nightly(arguments=("--grpo-steps", "3"))
    assert "flags set grpo.steps=3" in said
    assert night_runs().popitem()[1].data.tags["warpsmith.flags"] == "grpo.steps=3"
    assert len(list(Path("artifacts/cpu/training/2026-01-01/grpo/checkpoints").iterdir())) == 3
    said.clear()
    nightly()
    assert any("launched last, flags set grpo.steps=3;" in line for line in said)
    assert night_runs().popitem()[1].data.tags["warpsmith.flags"] == "none"
    assert active_settings(Layout(Path(), "cpu"))[0].grpo.steps == 60


def test_a_night_that_setup_opened_was_not_launched_before(nightly, monkeypatch):
    said = []
    monkeypatch.setattr(night_tasks, "say", said.append)
    assert night.main([]) == 0
    nightly(arguments=("--grpo-steps", "3"))
    assert not any("launched last" in line for line in said)


def test_a_wrong_flag_fails_the_night_before_anything_is_written(nightly, dvc):
    with pytest.raises(WarpsmithError, match="the nearest valid one is `--grpo-steps`"):
        nightly(arguments=("--grpo-stepz", "3"))
    assert dvc.ran == [] and not Path("artifacts/cpu/night.yaml").exists()
