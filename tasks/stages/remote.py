"""The body of a stage as a batch job: with `launcher.kind: slurm`, what needs a node's GPUs or many hours.

The job writes to a folder of its own, and what it made is handed in by whoever follows it to its end: a stage
that is started again finds its folder empty, and its job perhaps still at work.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from evaluation.errors import WarpsmithError
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.night import active_settings
from tasks.stages.context import Context
from tasks.stages.steps import STEPS, Metrics, Step
from training.launch.local import die_with_parent
from training.launch.slurm.outcome import run_on_node
from training.launch.slurm.run import run_command
from training.settings.launcher import LauncherKind

#: Stages whose body is a job of one node; those that train are jobs by themselves, and the rest take seconds.
REMOTE = frozenset({Stage.PREPARE, Stage.CONVERT, Stage.EXPORT, Stage.EVALUATE})
_OUT, _METRICS = "out", "metrics.json"


def step_of(context: Context) -> Step:
    """What a stage does, here or as a job."""
    if context.profile.launcher.kind is LauncherKind.SLURM and context.stage in REMOTE:
        return _run_as_job
    return STEPS[context.stage]


def _run_as_job(context: Context) -> Metrics:
    """Have a node do the stage's work, and take over what it made."""
    folder = context.work.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    command = ["-m", "tasks.stages.remote", context.stage, context.profile.name, str(folder)]
    launcher = context.profile.launcher.model_copy(update={"nodes": 1})
    run_command(command, _submission(context), folder, launcher)
    for made in (folder / _OUT).iterdir():
        shutil.move(made, context.out / made.name)
    metrics: Metrics = json.loads((folder / _METRICS).read_text(encoding="utf-8"))
    return metrics


def _submission(context: Context) -> str:
    """All that the result depends on: a job of another night, other settings or other inputs is another."""
    manifests = {stage: context.layout.manifest(stage) for stage in Stage if stage is not context.stage}
    said = {
        "night": context.night.name,
        "settings": context.profile.model_dump(mode="json"),
        "inputs": {stage: path_md5(path) for stage, path in manifests.items() if path.exists()},
    }
    return json.dumps(said, indent=2, sort_keys=True)


def _work(stage: Stage, profile: str, folder: Path) -> None:
    """The job's part."""
    layout, out = Layout(Path(), profile), folder / _OUT
    context = Context(stage, layout, *active_settings(layout), elsewhere=out)
    if context.work.absolute() != folder:
        raise WarpsmithError(f"night {context.night.name} was opened meanwhile; start the other one again")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    metrics = STEPS[stage](context)
    (folder / _METRICS).write_text(json.dumps(metrics), encoding="utf-8")


def main(stage: str, profile: str, folder: str) -> int:
    """Do a stage's work and say how it ended."""
    die_with_parent()
    return run_on_node(Path(folder), 0, lambda: _work(Stage(stage), profile, Path(folder)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
