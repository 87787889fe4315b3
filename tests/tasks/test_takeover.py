"""A colleague with a clone, DVC's remote and MLflow goes on with a night, and runs no stage twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.night import active_night, open_night
from tasks.night_tasks import share_night
from tasks.stages.dvc_stage import How, open_workspace, run_through_dvc
from tasks.takeover import main, take_over
from tasks.tracking.runs import Tracking

#: All stages, as shell commands that leave their process id, as stages do; the first leaves something else.
PIPELINE = "stages:\n" + "\n".join(
    f"""  {stage}:
    wdir: ${{root}}
    cmd: >-
      mkdir -p artifacts/${{profile}}/locks; echo $$ > artifacts/${{profile}}/locks/{stage}.lock;
      echo {stage} > artifacts/${{profile}}/{stage}.txt
    deps: [in.txt]
    outs: ['artifacts/${{profile}}/{stage}.txt']"""
    for stage in Stage
)


@pytest.fixture(params=["cpu", "other"])
def layout(request, checkout):
    """A night that ended after two stages, of the active profile and of another."""
    layout = Layout(Path(), request.param)
    if request.param != "cpu":
        shutil.copy("infra/profiles/cpu.yaml", layout.profile_file)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("in.txt").write_text("1")
    return layout


@pytest.fixture
def colleague(layout, tmp_path_factory):
    """Another clone, which shares DVC's remote and nothing else."""
    root = tmp_path_factory.mktemp("colleague")
    private = shutil.ignore_patterns("artifacts", "cache", "tmp", "dvc.lock")
    shutil.copytree(".", root, dirs_exist_ok=True, ignore=private)
    (root / "artifacts").mkdir()
    remote = Path("artifacts/dvc-remote").resolve()
    config = (root / ".dvc" / "config").read_text().replace("../artifacts/dvc-remote", str(remote))
    (root / ".dvc" / "config").write_text(config)
    return root


def test_a_night_is_taken_over_after_its_last_finished_stage(layout, colleague, monkeypatch, capsys):
    night = open_night(layout, "2026-12-01", lambda: None)
    open_workspace(layout)
    for stage in (Stage.PREPARE, Stage.VALIDATE):
        assert run_through_dvc(layout, stage).how is How.RAN
    assert "new files in DVC's default remote" in share_night(layout, night)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Tracking(layout).client.uri)
    monkeypatch.chdir(colleague)
    assert main(["2026-12-01", "--profile", layout.profile]) == 0
    assert "night 2026-12-01 has prepare, validate" in capsys.readouterr().out
    assert active_night(layout) == night
    assert (layout.home / "validate.txt").read_text() == "validate\n"
    open_night(layout, "2026-12-01", lambda: pytest.fail("it is known from which model the night started"))
    assert [run_through_dvc(layout, stage).how for stage in (Stage.PREPARE, Stage.VALIDATE)] == [
        How.SKIPPED
    ] * 2
    assert run_through_dvc(layout, Stage.BASE).how is How.RAN


def test_a_night_that_nobody_has_is_said_so(layout, capsys):
    assert main(["2026-12-01", "--profile", layout.profile]) == 2
    assert "MLflow has no record of night 2026-12-01" in capsys.readouterr().err
    with pytest.raises(WarpsmithError, match="is not a name"):
        take_over(layout, "a b")


def test_a_remote_that_is_full_or_away_is_one_sentence(layout):
    night = open_night(layout, "2026-12-01", lambda: None)
    open_workspace(layout)
    run_through_dvc(layout, Stage.PREPARE)
    Path("artifacts/dvc-remote").write_text("no folder can be here")
    said = share_night(layout, night)
    assert said.startswith("DVC's remote has not all of this night: ") and "\n" not in said
