"""Nights that the real DVC runs, restores, skips and compares, over tiny stages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.night import open_night
from tasks.profile import read_flags
from tasks.report.history import keep
from tasks.stages.dvc_stage import How, open_workspace, run_through_dvc

LAYOUT = Layout(Path(), "cpu")
#: In place of `python -m tasks.stage STAGE`: what the stage makes depends on the night's file.
STAND_IN = """
home=artifacts/cpu; echo $$ > $home/locks/$1.lock; mkdir -p $home/$1/torch_dist
cat $home/night.yaml > $home/$1/torch_dist/w
for name in manifest.json metrics.jsonl rollouts.jsonl; do echo $1 > $home/$1/$name; done
echo '{"reward/mean": 0.5}' > $home/$1/metrics.json; echo step,reward/mean,train/loss > $home/$1/curve.csv
[ $1 = grpo ] || rm $home/$1/rollouts.jsonl
"""


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def night(name: str, *flags: str) -> dict[Stage, How]:
    """Train a night through DVC and keep it; what became of each stage."""
    for file in ("convert/torch_dist/w", "prepare/sft.jsonl", "prepare/problems.jsonl", "prepare/prompts/x"):
        (LAYOUT.home / file).parent.mkdir(parents=True, exist_ok=True)
        (LAYOUT.home / file).write_text(f"drawn for {name}")
    open_night(LAYOUT, name, lambda: None, read_flags(LAYOUT, flags)[1])
    open_workspace(LAYOUT)
    outcomes = {stage: run_through_dvc(LAYOUT, stage).how for stage in (Stage.SFT, Stage.GRPO)}
    keep(LAYOUT, name)
    return outcomes


def changed(path: str) -> None:
    """Give a file another comment."""
    with Path(path).open("a") as file:
        file.write("\n# another comment\n")


def test_nights_are_restored_and_left_alone_by_the_machines_settings(checkout):
    """By what dvc.yaml says the stages depend on; what they do is of no matter here."""
    pipeline = Path("dvc.yaml")
    pipeline.write_text(pipeline.read_text().replace("exec python -m tasks.stage", "exec sh stand_in.sh"))
    Path("stand_in.sh").write_text(STAND_IN)
    (LAYOUT.home / "locks").mkdir(parents=True)
    trained = LAYOUT.stage(Stage.GRPO) / "torch_dist" / "w"
    assert set(night("a").values()) == {How.RAN}
    assert set(night("b", "--grpo-steps", "4").values()) == {How.RAN}
    weights = trained.read_text()
    assert set(night("a").values()) == {How.RESTORED} and trained.read_text() != weights
    machine = ("--evaluation-workers", "1", "--nproc-per-node", "1", "--rollout-num-engines", "2")
    assert set(night("a", *machine).values()) == {How.SKIPPED}
    changed("training/rollout/draw.py")
    assert night("a") == {Stage.SFT: How.SKIPPED, Stage.GRPO: How.RAN}


@pytest.mark.slow
def test_nights_are_compared_with_dvcs_own_commands(checkout):
    for name, steps, reward in (("a", "3", 0.5), ("b", "4", 0.75)):
        open_night(LAYOUT, name, lambda: None, read_flags(LAYOUT, ["--grpo-steps", steps])[1])
        folder = LAYOUT.stage(Stage.GRPO)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps({"reward/mean": reward}))
        (folder / "curve.csv").write_text(f"step,reward/mean\n1,{reward}\n")
        keep(LAYOUT, name)
    tags = subprocess.run(["git", "tag"], cwd=LAYOUT.history, capture_output=True, check=True)
    assert tags.stdout == b"a\nb\n"
    diff = json.loads(dvc(LAYOUT.history, "metrics", "diff", "a", "b", "--json"))
    assert diff["grpo/metrics.json"]["reward/mean"] == {"old": 0.5, "new": 0.75, "diff": 0.25}
    params = dvc(LAYOUT.history, "params", "diff", "a", "b")
    assert "result.grpo.steps" in params and "result.grpo.lr" not in params
    assert "grpo reward/mean" in json.loads(dvc(LAYOUT.history, "plots", "diff", "a", "b", "--json"))["data"]
    metrics, curve = (f"artifacts/cpu/grpo/{name}" for name in ("metrics.json", "curve.csv"))
    assert "0.75" in dvc(Path(), "metrics", "show", metrics, "--json")
    assert curve in dvc(Path(), "plots", "show", curve, "--json")


def test_a_night_that_is_kept_already_makes_no_commit(checkout):
    open_night(LAYOUT, "a", lambda: None)
    keep(LAYOUT, "a"), keep(LAYOUT, "a")
    log = subprocess.run(["git", "log", "--oneline"], cwd=LAYOUT.history, capture_output=True, text=True)
    assert len(log.stdout.splitlines()) == 1 and log.stdout.endswith("night a\n")


def test_git_that_is_missing_or_refuses_is_one_sentence(checkout, monkeypatch):
    open_night(LAYOUT, "a", lambda: None)
    (LAYOUT.history / ".git").mkdir(parents=True)
    with pytest.raises(WarpsmithError, match=r"takes no night: .*; move it away") as caught:
        keep(LAYOUT, "a")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WarpsmithError, match="git is missing"):
        keep(LAYOUT, "a")
