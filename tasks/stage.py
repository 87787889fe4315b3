"""Runs one stage: `python -m tasks.stage STAGE --profile PROFILE`, the command of every stage in dvc.yaml.

What all stages share is here: one run at a time, the night's settings, the MLflow run, resuming or
starting clean, and the manifest that ends a stage. From then on it is done: what is logged afterwards can
undo nothing. What a stage does is in `tasks.stages.steps`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from evaluation.errors import WarpsmithError
from evaluation.report.run import read_table
from tasks.disk.files import write_atomically
from tasks.disk.full import explain_full_disk
from tasks.disk.hashing import settings_hash
from tasks.disk.layout import RESUMABLE, Layout, Stage
from tasks.disk.manifest import Manifest, code_revision
from tasks.night import active_settings
from tasks.profile import flat
from tasks.stages.context import Context
from tasks.stages.forward import Forwarder
from tasks.stages.pipeline import config_hash, dependencies, hash_inputs
from tasks.stages.remote import step_of
from tasks.stages.steps import Step
from tasks.tracking.runs import CODE_REVISION, CONFIG_HASH, Tracking
from training.checkpoint.folders import METRICS, set_aside
from training.launch.local import REQUEUE, Requeue, die_with_parent
from training.launch.lock import exclusive
from training.launch.signals import handling

#: What each stage leaves in MLflow, from where it writes or works, besides its metrics and settings.
_ARTIFACTS: dict[Stage, tuple[str, ...]] = {
    Stage.PREPARE: ("summary.json", "quarantine.jsonl"),
    Stage.VALIDATE: ("result.json", "docs"),
    Stage.SFT: (METRICS, "stderr.log"),
    Stage.GRPO: (METRICS, "stderr.log"),
    Stage.EVALUATE: ("report.html", "report.json", "responses.jsonl", "kernels"),
}


@dataclass(frozen=True)
class _Attempt:
    """What is known about a stage's run before its body starts."""

    context: Context
    inputs: dict[str, str]
    config_hash: str
    sections: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Names everything that the outputs depend on, code included."""
        return settings_hash([self.inputs, self.config_hash])


def run_stage(layout: Layout, stage: Stage, step: Step | None = None) -> Manifest:
    """Run a stage from its inputs to its manifest; `step` replaces the stage's own body (for tests).

    Raises:
        WarpsmithError: for what the user can put right, a full disk included.
    """
    context = Context(stage, layout, *active_settings(layout))
    layout.failure(stage).unlink(missing_ok=True)
    with exclusive(layout.lock(stage), f"stage {stage} of profile {layout.profile} is running already"):
        try:
            return _run(_begin(context), step or step_of(context))
        except BaseException as error:
            full = explain_full_disk(error, layout.root)
            _leave_reason(layout.failure(stage), full or error)
            if full is not None:
                raise full from error
            raise


def _begin(context: Context) -> _Attempt:
    """Hash the inputs, and give the stage an empty folder to write to."""
    needs = dependencies(context.layout, context.stage)
    attempt = _Attempt(
        context=context,
        inputs=hash_inputs(context.layout, needs.paths),
        config_hash=config_hash(context.profile, context.night, needs),
        sections=needs.sections,
    )
    if context.layout.manifest(context.stage).exists():  # not under DVC, which has it in its cache
        _set_aside(context, context.out)
    shutil.rmtree(context.out, ignore_errors=True)  # what an attempt left that did not come to its end
    context.out.mkdir(parents=True)
    if context.stage in RESUMABLE:
        _begin_anew_if_done(attempt)
    return attempt


def _begin_anew_if_done(attempt: _Attempt) -> None:
    """Set the checkpoints of a finished run aside if it is wanted again, by other code, say.

    They are kept for the same run, which then has nothing to do, and for one of more steps, which goes on.
    """
    context, done = attempt.context, _done_file(attempt.context)
    if not done.exists():
        return
    before = json.loads(done.read_text(encoding="utf-8"))
    if attempt.fingerprint != before["fingerprint"] and _steps(context) <= before["steps"]:
        _set_aside(context, context.work)


def _set_aside(context: Context, folder: Path) -> None:
    aside = set_aside(folder)
    print(
        f"[{context.stage}] runs anew; what it had made is in {aside} now, delete that if it is of no use",
        flush=True,
    )


def _done_file(context: Context) -> Path:
    """What says that the run in the working folder came to its end."""
    return context.work / "done.json"


def _steps(context: Context) -> int:
    return int(getattr(context.profile, context.stage).steps)


def _run(attempt: _Attempt, step: Step) -> Manifest:
    context = attempt.context
    tracking = Tracking(context.layout)
    run_id = tracking.stage_run(context.night.name, context.stage, attempt.fingerprint)
    start = time.monotonic()
    try:
        metrics = _follow(attempt, step, tracking, run_id)
    except BaseException as error:
        with suppress(Exception):  # MLflow may be what failed; the error itself matters more
            _log_artifacts(context, tracking, run_id)  # they may show what is wrong, as the data docs do
            tracking.finish(run_id, "FAILED", _sentence(error))
        raise
    manifest = Manifest(
        stage=context.stage,
        profile=context.profile.name,
        inputs=attempt.inputs,
        config_hash=attempt.config_hash,
        code_revision=code_revision(context.layout.root),
        mlflow_run_id=run_id,
        seconds=round(time.monotonic() - start, 3),
        metrics=metrics,
    )
    _end(attempt, manifest)
    try:
        _record(attempt, tracking, manifest)
        tracking.finish(run_id)
    except Exception as error:
        print(f"[{context.stage}] is done, but MLflow lacks a part of its record: {error}", flush=True)
    return manifest


def _end(attempt: _Attempt, manifest: Manifest) -> None:
    """Write what says that the stage is done, the manifest last."""
    context = attempt.context
    if context.stage in RESUMABLE and context.work.exists():
        done = {"fingerprint": attempt.fingerprint, "steps": _steps(context)}
        write_atomically(_done_file(context), json.dumps(done))
    write_atomically(context.out / "metrics.json", json.dumps(manifest.metrics, indent=2) + "\n")
    manifest.write(context.layout.manifest(context.stage))


def _follow(attempt: _Attempt, step: Step, tracking: Tracking, run_id: str) -> dict[str, float]:
    """Run the body; the metrics of a training stage go to MLflow meanwhile."""
    context = attempt.context
    if context.stage not in RESUMABLE:
        return step(context)
    with Forwarder(context.work / METRICS, tracking, run_id):
        return step(context)


def _record(attempt: _Attempt, tracking: Tracking, manifest: Manifest) -> None:
    """Leave in MLflow what the stage used and made."""
    context, run_id = attempt.context, manifest.mlflow_run_id
    if context.stage not in RESUMABLE:  # those have logged every step already
        tracking.log_metrics(run_id, manifest.metrics)
    tracking.log_datasets(run_id, {p: md5 for p, md5 in attempt.inputs.items() if p.startswith("artifacts/")})
    settings = context.profile.model_dump(mode="json", include=set(attempt.sections))
    tracking.log_json(run_id, "config.json", settings)
    tracking.log_params(run_id, dict(flat(settings)))
    tracking.set_tags(run_id, {CONFIG_HASH: attempt.config_hash, CODE_REVISION: manifest.code_revision})
    _log_artifacts(context, tracking, run_id)
    if context.stage is Stage.EVALUATE:
        night_run = tracking.night_run(context.night.name)
        tracking.log_metrics(night_run, manifest.metrics)


def _log_artifacts(context: Context, tracking: Tracking, run_id: str) -> None:
    for name in _ARTIFACTS.get(context.stage, ()):
        made = context.out / name
        tracking.log_path(run_id, made if made.exists() else context.work / name)
    if context.stage is Stage.EVALUATE:
        tracking.log_table(run_id, "table.json", read_table(context.out))


def _leave_reason(path: Path, error: BaseException) -> None:
    """Tell the driver why the stage ended; a disk without room for a sentence hears it from the terminal."""
    with suppress(OSError):
        write_atomically(path, f"{_sentence(error)}\n")


def _sentence(error: BaseException) -> str:
    """What a person is told about an error."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped; `make nightly` goes on from here"
    return str(error) if isinstance(error, WarpsmithError) else repr(error)


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGUSR1, where no training run has taken them over: what was half done is done again."""
    raise Requeue(f"it was asked to stop by {signal.Signals(number).name}; start it again to go on")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error says what to do, 75 to start it again."""
    parser = argparse.ArgumentParser(prog="python -m tasks.stage", description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=[stage.value for stage in Stage])
    parser.add_argument("--profile", default="cpu")
    options = parser.parse_args(argv)
    die_with_parent()
    print(f"[{options.stage}] starts", flush=True)
    try:
        with handling(_stop):
            manifest = run_stage(Layout(Path(), options.profile), Stage(options.stage))
    except Requeue as request:
        print(f"[{options.stage}] stopped: {request}", flush=True)
        return REQUEUE
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"[{manifest.stage}] done in {manifest.seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
