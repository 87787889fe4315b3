"""Every stage of dvc.yaml depends on the code that its result depends on, and on no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.disk.layout import Stage
from tests.tasks.imports import needed

ROOT = Path(__file__).parents[3]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
#: Where the work of a stage is done: what its body in tasks/stages/steps.py calls.
ENTRIES = {
    Stage.PREPARE: "data.prepare",
    Stage.VALIDATE: "data.expectations.gate",
    Stage.BASE: "training.checkpoint.base",
    Stage.CONVERT: "training.checkpoint.commands",
    Stage.SFT: "training.sft",
    Stage.GRPO: "training.grpo",
    Stage.EXPORT: "training.checkpoint.commands",
    Stage.EVALUATE: "tasks.stages.evaluate",
}
#: What no result depends on: settings, whose values DVC watches, and what starts, stops, locks and says.
_OTHER = (
    *("evaluation/settings.py", "evaluation/marks.py", "evaluation/errors.py", "data/settings.py"),
    *("data/sources/location.py", "evaluation/timing/peaks.py"),
    *(
        "training/settings/jobs.py",
        "training/settings/optimization.py",
        "training/arguments",
        "training/settings/implied.py",
        "training/settings/source_fields.py",
        "training/settings/supported.py",
        "training/settings/upstream.py",
    ),
    *("training/settings/rollout.py", "training/settings/sglang.py", "training/checkpoint/folders.py"),
    *(
        "training/launch/local.py",
        "training/launch/lock.py",
        "training/launch/signals.py",
        "training/launch/ports.py",
        "training/launch/address.py",
        "training/launch/beats.py",
        "training/launch/agreement.py",
        "training/launch/nodes.py",
        "training/launch/reports.py",
        "training/settings/launcher.py",
        "training/launch/worker.py",
    ),
    *("training/preflight/machine.py", "training/preflight/gpu_memory.py"),
)
JUDGED = (Stage.PREPARE, Stage.GRPO, Stage.EVALUATE)


def within(file: str, paths: tuple[str, ...] | list[str]) -> bool:
    return any(file == path or file.startswith(f"{path}/") for path in paths)


def code(stage: Stage) -> list[str]:
    return [path for path in PIPELINE[stage]["deps"] if not path.startswith("artifacts/")]


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_depends_on_the_code_that_it_runs(stage):
    files = {file for file in needed(ROOT, ENTRIES[stage]) if not within(file, _OTHER)}
    files -= {file for file in files if file.startswith("tasks/") and file != "tasks/stages/evaluate.py"}
    assert sorted(file for file in files if not within(file, code(stage))) == []


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_depends_on_no_code_that_it_does_not_run(stage):
    files = needed(ROOT, ENTRIES[stage])
    idle = [path for path in code(stage) if not any(within(file, [path]) for file in files)]
    assert idle == (["evaluation/native"] if stage in JUDGED else [])


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("training/rollout/draw.py", {Stage.GRPO, Stage.EVALUATE}),
        ("training/checkpoint/conversion.py", set(Stage) - {Stage.PREPARE, Stage.VALIDATE, Stage.EVALUATE}),
        ("training/objective/losses.py", {Stage.SFT, Stage.GRPO}),
        ("training/sft.py", {Stage.SFT}),
        ("evaluation/native/shim/simt.h", {Stage.PREPARE, Stage.GRPO, Stage.EVALUATE}),
        ("evaluation/report/html.py", {Stage.EVALUATE}),
        ("data/generator.py", {Stage.PREPARE}),
        ("training/settings/rollout.py", set()),
    ],
)
def test_a_changed_file_puts_out_of_date_only_what_reads_it(changed, stages):
    assert (ROOT / changed).is_file()
    assert {stage for stage in Stage if within(changed, code(stage))} == stages
