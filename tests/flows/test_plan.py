"""The plan says what DVC would then do, and leaves everything as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows import run
from flows.plan import plan, plan_text
from tasks.disk.layout import Layout, Stage
from tasks.night import open_night
from tasks.profile import load_profile
from tasks.registry import Registry
from tasks.report.ledger import charged, entries
from tasks.stages.dvc_stage import How, open_workspace, run_through_dvc
from tasks.tracking.runs import Tracking

HOME = "artifacts/${profile}"
#: A real pipeline of shell commands: each stage reads what the one before has written.
STAGES = {
    stage.value: {
        "wdir": "${root}",
        "cmd": f"mkdir -p artifacts/${{profile}}/locks artifacts/${{profile}}/{stage}; "
        f"echo $$ > artifacts/${{profile}}/locks/{stage}.lock; date +%N > {HOME}/{stage}/made",
        "deps": [f"{HOME}/{before}/made" for before in list(Stage)[place - 1 : place]] or ["in.txt"],
        "params": [{f"{HOME}/night.yaml": keys}],
        "outs": [f"{HOME}/{stage}/made"],
    }
    for place, (stage, keys) in enumerate(
        {stage: ["result.grpo"] if stage is Stage.GRPO else ["champion"] if stage is Stage.BASE else ["name"]
         for stage in Stage}.items()
    )
}  # fmt: skip


@pytest.fixture
def layout(checkout):
    layout = Layout(Path(), "cpu")
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    Path("in.txt").write_text("1")
    open_night(layout, "2026-01-01", lambda: None)
    open_workspace(layout)
    return layout


def run_all(layout) -> list[str]:
    """The stages that DVC ran."""
    profile = load_profile(layout)
    ran = []
    for stage in Stage:
        with charged(layout, profile, "2026-01-01", stage):
            if run_through_dvc(layout, stage).how is not How.SKIPPED:
                ran.append(stage.value)
    return ran


def planned(layout, name=None, *flags) -> dict[str, tuple[str, ...]]:
    return {one.stage.value: one.reasons for one in plan(layout, name, flags).stages if one.reasons}


def test_the_plan_is_what_dvc_does_and_changes_nothing(layout):
    assert list(planned(layout)) == run_all(layout) == [stage.value for stage in Stage]
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    assert planned(layout) == {}
    other = planned(layout, None, "--grpo-steps", "5")
    assert other["grpo"] == ("grpo.steps 60 \u2192 5",) and other["export"] == ("after grpo",)
    assert "sft" not in other
    assert planned(layout, "2026-01-02")["prepare"] == ("name 2026-01-01 \u2192 2026-01-02",)
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()} == before
    Path("in.txt").write_text("2")
    Path("artifacts/cpu/export/made").unlink()
    assert planned(layout)["prepare"] == ("in.txt changed",)
    Path("in.txt").write_text("1")
    assert planned(layout)["export"] == ("artifacts/cpu/export/made missing or not what it was",)
    assert list(planned(layout)) == ["export", "evaluate"]
    assert run_all(layout)[0] == "export"


def test_costs_are_those_of_earlier_nights_in_proportion_to_the_steps(layout, capsys):
    assert "8 stages of unknown cost" in plan_text(layout, plan(layout, None, ()))
    run_all(layout)
    (grpo,) = [entry for entry in entries(layout) if entry.stage is Stage.GRPO]
    assert grpo.ended and grpo.steps == 60 and grpo.bytes > 0
    layout.ledger.write_text(
        grpo.model_copy(update={"seconds": 600.0, "gpus": 2}).model_dump_json() + "\n{cut"
    )
    profile = layout.profile_file
    profile.write_text(profile.read_text() + "budget: {hours: 1.5}\n")
    assert run.main(["nightly", "--plan", "--grpo-steps", "120"]) == 0
    said = capsys.readouterr().out
    assert (
        "grpo      runs        about 20 min" in said and "budget: 1.5 hours; spent so far 0.17 hours" in said
    )
    assert "Night 2026-01-01 of profile cpu, opened before, would start from the base model" in said
    assert "nobody yet" in said


def test_a_mistake_is_one_sentence(layout, capsys):
    assert run.main(["nightly", "--plan", "--grpo-stepz", "1"]) == 2
    assert "the nearest valid one is `--grpo-steps`" in capsys.readouterr().err


def test_the_champion_is_named_without_bringing_its_weights(layout):
    registry = Registry(Tracking(layout))
    model, report = layout.stage(Stage.EXPORT) / "model", layout.home / "report.json"
    model.mkdir(parents=True)
    (model / "w").write_text("one")
    from tasks.disk.hashing import path_md5
    from tests.tasks.models.test_gate import FIRST_HALF, benchmark

    report.write_text(benchmark(FIRST_HALF).model_dump_json())
    registry.promote(registry.register("2026-01-01", model, report, path_md5(model)))
    kept = registry.champion().model
    (Path(kept) / "w").unlink()
    found = plan(layout, "2026-01-02", ())
    assert found.champion == "version 1 of warpsmith-cpu, of night 2026-01-01"
    assert found.night.champion.model == kept and not (Path(kept) / "w").exists()
