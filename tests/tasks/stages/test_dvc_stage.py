"""Stages under DVC: run, skipped, restored, failed, killed; and DVC's files after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tasks import night
from tasks.disk.layout import Layout, Stage
from tasks.stages.dvc_stage import (
    How,
    StageCrashed,
    StageFailed,
    is_up_to_date,
    lock_file,
    open_workspace,
    push,
    run_through_dvc,
)
from training.launch.local import REQUEUE, Requeue

#: Two shell commands under the names of two stages; the first leaves its process id, as stages do.
PIPELINE = """
stages:
  prepare:
    wdir: ${root}
    cmd: echo $$ > artifacts/${profile}/locks/prepare.lock; cat in.txt > artifacts/${profile}/prepare.txt
    deps: [in.txt]
    outs: ['artifacts/${profile}/prepare.txt']
  validate:
    wdir: ${root}
    cmd: exec sh check.sh artifacts/${profile}
    deps: [check.sh, 'artifacts/${profile}/prepare.txt']
    outs: ['artifacts/${profile}/validate.txt']
"""
FINE = "touch $1/validate.txt"
EXPLAINED = "echo 'row 3 is wrong; correct it' > $1/locks/validate.failure; exit 2"


@pytest.fixture
def profile():
    """The active profile, which runs in the checkout itself."""
    return "cpu"


#: The same, and another profile, which runs in a workspace of its own.
BOTH = pytest.mark.parametrize("profile", ["cpu", "other"])


@pytest.fixture
def layout(profile, checkout):
    layout = Layout(Path(), profile)
    (layout.home / "locks").mkdir(parents=True)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("in.txt").write_text("1")
    Path("check.sh").write_text(FINE)
    open_workspace(layout)
    return layout


def how(layout, stage=Stage.PREPARE):
    return run_through_dvc(layout, stage).how


@BOTH
def test_a_stage_runs_once_and_is_restored_for_inputs_that_were_seen_before(layout):
    assert [how(layout), how(layout)] == [How.RAN, How.SKIPPED]
    Path("in.txt").write_text("2")
    assert how(layout) is How.RAN
    Path("in.txt").write_text("1")
    assert how(layout) is How.RESTORED
    assert (layout.home / "prepare.txt").read_text() == "1"


def test_a_deleted_output_is_made_again(layout):
    how(layout)
    (layout.home / "prepare.txt").unlink()
    assert how(layout) is not How.SKIPPED and (layout.home / "prepare.txt").exists()


def test_force_runs_what_is_up_to_date(layout):
    how(layout)
    assert run_through_dvc(layout, Stage.PREPARE, force=True).how is How.RAN


@BOTH
def test_up_to_date_means_all_stages_before_too(layout):
    how(layout), how(layout, Stage.VALIDATE)
    assert is_up_to_date(layout, Stage.VALIDATE)
    Path("in.txt").write_text("2")
    assert not is_up_to_date(layout, Stage.VALIDATE)


@BOTH
def test_a_stage_that_explains_its_failure_is_quoted(layout):
    how(layout)
    Path("check.sh").write_text(EXPLAINED)
    with pytest.raises(StageFailed, match="stage validate: row 3 is wrong; correct it"):
        how(layout, Stage.VALIDATE)


def test_a_stage_that_was_asked_to_stop_is_to_be_started_again(layout):
    how(layout)
    Path("check.sh").write_text(
        "echo 'stopped after step 3; start it again' > $1/locks/validate.failure; exit 75"
    )
    with pytest.raises(Requeue, match="stage validate: stopped after step 3"):
        how(layout, Stage.VALIDATE)


def test_a_signal_goes_to_the_stage_and_the_night_can_go_on(layout):
    """The first stage here stops as stages do; the second ends in spite of the signal, and then the night."""
    how(layout)
    lock, reason = "echo $$ > $1/locks/validate.lock", "echo 'asked to stop' > $1/locks/validate.failure"
    signal_us, ending = "kill -USR1 $PPID", "touch $1/validate.txt"
    Path("check.sh").write_text(
        f'trap "{reason}; exit 75" USR1; {lock}; {signal_us}; for i in $(seq 300); do sleep 0.1; done'
    )
    with pytest.raises(Requeue, match="stage validate: asked to stop"):
        how(layout, Stage.VALIDATE)
    Path("check.sh").write_text(f"trap '' TERM; {lock}; kill -TERM $PPID; sleep 0.5; {ending}")
    with pytest.raises(Requeue, match="after stage validate"):
        how(layout, Stage.VALIDATE)
    assert how(layout, Stage.VALIDATE) is How.SKIPPED


def test_a_stage_that_cannot_explain_itself_crashed(layout):
    how(layout)
    Path("check.sh").write_text("kill -9 $$")
    with pytest.raises(StageCrashed):
        how(layout, Stage.VALIDATE)


@BOTH
def test_a_missing_input_is_named_in_one_line(layout):
    Path("in.txt").unlink()
    with pytest.raises(WarpsmithError, match=r"in\.txt") as caught:
        how(layout)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rest", ["", "schema: '2.0'\nstages:\n  prepare:\n    cmd: [", "st"])
def test_a_lock_file_that_a_kill_cut_short_stops_nothing(layout, rest):
    how(layout)
    lock_file(layout).write_text(rest)
    open_workspace(layout)
    assert how(layout) is How.RESTORED


def test_a_lock_list_that_a_kill_cut_short_stops_nothing(layout):
    how(layout)
    Path(".dvc/tmp/rwlock").write_text('{"write"')
    open_workspace(layout)
    assert how(layout) is How.SKIPPED


@BOTH
def test_push_fills_the_local_remote_once(layout, monkeypatch):
    how(layout), how(layout, Stage.VALIDATE)
    monkeypatch.setattr("tasks.stages.dvc_stage.Stage", (Stage.PREPARE, Stage.VALIDATE))
    assert push(layout) == 2 and push(layout) == 0
    assert list(Path("artifacts/dvc-remote").rglob("*"))


def test_a_workspace_is_a_copy_and_goes_when_its_profile_becomes_the_active_one(checkout):
    layout = Layout(Path(), "other")
    open_workspace(layout)
    assert (layout.home / "dvc/dvc.yaml").read_bytes() == Path("dvc.yaml").read_bytes()
    Path("params.yaml").write_text(yaml.safe_dump({"profile": "other", "root": "."}))
    open_workspace(layout)
    assert not (layout.home / "dvc").exists()


@pytest.mark.slow
def test_a_killed_night_leaves_no_process_and_the_next_attempt_resumes(checkout):
    """SIGKILL of DVC in the middle of a training stage: the stage dies with it, and continues afterwards."""
    for name in ("convert/torch_dist/w", "prepare/sft.jsonl"):
        Path("artifacts/cpu", name).parent.mkdir(parents=True)
        Path("artifacts/cpu", name).write_text("1")
    assert night.main([]) == 0
    environment = {**os.environ, "WARPSMITH_TEST_SLEEP": "0.5"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [sys.executable, "-m", "dvc", "repro", "-s", "sft"]
    checkpoints = Path("artifacts/cpu/training/2026-01-01/sft/checkpoints")
    dvc = subprocess.Popen(command, env=environment)
    while not list(checkpoints.glob("*")):
        assert dvc.poll() is None
        time.sleep(0.05)
    stage = int(Path("artifacts/cpu/locks/sft.lock").read_text())
    dvc.send_signal(signal.SIGKILL)
    dvc.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{stage}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{stage}").exists()
    assert len(list(checkpoints.iterdir())) == 1
    subprocess.run(command, env=environment, check=True)
    assert len(Path("artifacts/cpu/sft/metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_stage_that_is_asked_to_stop_says_so_and_exits_with_75(checkout):
    for name in ("convert/torch_dist/w", "prepare/sft.jsonl"):
        Path("artifacts/cpu", name).parent.mkdir(parents=True)
        Path("artifacts/cpu", name).write_text("1")
    assert night.main([]) == 0
    steps = Path("tasks/stages/steps.py")
    steps.write_text(steps.read_text().replace("Stage.CONVERT, 2)", "Stage.CONVERT, 4)"))
    environment = {**os.environ, "WARPSMITH_TEST_SLEEP": "0.5"}
    command = [sys.executable, "-m", "tasks.stage", "sft"]
    for done, number in enumerate([signal.SIGTERM, signal.SIGUSR1]):
        stage = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        while len(list(Path("artifacts/cpu/training/2026-01-01/sft/checkpoints").glob("*"))) <= done:
            assert stage.poll() is None
            time.sleep(0.05)
        stage.send_signal(number)
        said, _ = stage.communicate(timeout=60)
        assert stage.returncode == REQUEUE and f"asked to stop by {number.name}" in said
        assert "asked to stop" in Layout(Path(), "cpu").failure(Stage.SFT).read_text()
    subprocess.run(command, env=environment, check=True)
