"""The Prefect tasks of a night. Each does one thing through a module of this room and publishes what it did.

Tasks run in the thread of the flow, so that a stage is the child of the process's main thread: it is
then the kernel that ends it when the night is killed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from evaluation.errors import WarpsmithError
from tasks.disk.layout import RESUMABLE, Layout, Stage
from tasks.disk.manifest import Manifest, code_revision
from tasks.lineage import keep_lineage, record
from tasks.models.kept import bring_model
from tasks.models.promotion import Promotion, night_metrics, promote
from tasks.night import Night, active_night, active_settings, open_night, recorded_night
from tasks.profile import Profile, flat, read_flags
from tasks.registry import Registry
from tasks.report.history import keep
from tasks.report.ledger import charged, cost_rows, entries
from tasks.report.morning import write_pages
from tasks.report.notify import Event, cause, notify
from tasks.report.summary import benchmark_markdown, note, stage_rows, terminal_summary
from tasks.stages.budget import BudgetSpent, within_budget
from tasks.stages.dvc_stage import (
    How,
    Outcome,
    StageCrashed,
    is_up_to_date,
    lock_file,
    open_workspace,
    push,
    run_through_dvc,
)
from tasks.stages.overhear import CONSOLE_LEVEL, overheard
from tasks.tracking.runs import CODE_REVISION, TRUSTED, Tracking
from training.arguments.parse import changes
from training.launch.local import Requeue
from training.preflight.gpu_memory import check_memory
from training.preflight.machine import check_machine
from training.settings.architecture import planned_architecture, read_architecture
from training.settings.implied import check_given
from training.settings.launcher import LauncherKind

_WORDS = {
    How.RAN: "ran in {:.0f} s",
    How.RESTORED: "restored from the cache, run before with the same inputs",
    How.SKIPPED: "skipped, nothing it depends on changed",
}


def say(text: str) -> None:
    """Show a line of progress, in the run's Prefect log and on the terminal."""
    get_run_logger().info(text)
    if CONSOLE_LEVEL in os.environ:
        print(text, flush=True)


def log_sentences() -> None:
    """Leave the traceback of an error that a sentence explains out of the runs' Prefect logs."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_drop_traceback)


def _drop_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], WarpsmithError):
        record.exc_info = None
    return True


@task(cache_policy=NO_CACHE, task_run_name="open night")
def open_night_task(layout: Layout, name: str | None, flags: Sequence[str] = ()) -> Night:
    """Make a night the active one; a new one starts from the champion, if there is one."""
    profile, overrides = read_flags(layout, flags)
    check_machine(profile.training, profile.evaluation, profile.launcher)
    before = recorded_night(layout, name or profile.night)
    night = open_night(
        layout,
        name or profile.night,
        lambda: Registry(Tracking(layout)).champion(),
        overrides,
    )
    if night.champion and not (layout.root / night.champion.model).is_dir():
        bring_model(layout, night.champion.md5)
    _check_model(layout, profile, night)
    open_workspace(layout)
    Tracking(layout).begin_night(night.name, dict(flat(night.result)))
    start = f"the champion of {night.champion.night}" if night.champion else "the base model"
    say(f"night {night.name} of profile {profile.name}, from {start}")
    _say_what_flags_change(layout, night, before)
    settings = [
        {"setting": name, "value": str(value)} for name, value in flat(profile.model_dump(mode="json"))
    ]
    create_table_artifact(
        key="night",
        table=settings,
        description=f"Night {night.name}, starting from {start}: resolved settings",
    )
    _tell(Event.STARTED, layout, night.name, f"It starts from {start}.")
    return night


def _tell(event: Event, layout: Layout, night: str, text: str) -> None:
    """Notify whoever wants it; a receiver that is dead costs a warning."""
    warning = notify(event, night, layout.profile, text)
    if warning:
        print(warning, flush=True)


def _check_model(layout: Layout, profile: Profile, night: Night) -> None:
    """Refuse a model that cannot be divided as the profile wants, or is not what it says, hours before."""
    champion, megatron = night.champion, profile.megatron
    starts_from = read_architecture(layout.root / champion.model) if champion else None
    architecture = starts_from or planned_architecture(profile.model)
    architecture.check_split(megatron.tensor_model_parallel_size, megatron.pipeline_model_parallel_size)
    check_given(architecture, megatron.model_dump())
    if profile.launcher.kind is not LauncherKind.LOCAL:
        return  # the GPUs are elsewhere
    for judged in (None, profile.evaluation):  # SFT, then GRPO
        memory = check_memory(profile.training, architecture, judged)
        if memory:
            say(memory)


def _say_what_flags_change(layout: Layout, night: Night, before: Night | None) -> None:
    """A night has the flags of its last launch: nobody should have to guess which those are.

    A night that `make setup` opened, without flags, was not launched yet.
    """
    now = changes(night.overrides)
    if now:
        say(f"flags set {now}")
    earlier = changes(before.overrides) if before else ""
    launched = any(layout.lock(stage).exists() for stage in Stage)
    if before is not None and before.overrides != night.overrides and (earlier or launched):
        had = f"set {earlier}" if earlier else "were none"
        say(f"when this night was launched last, flags {had}; stages that read what differs are out of date")


def _may_retry(task: Any, run: Any, state: Any) -> bool:
    """A stage that was killed, say for its memory, resumes; what it explained would only happen again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageCrashed)


@task(cache_policy=NO_CACHE, task_run_name="{stage}", retries=1, retry_condition_fn=_may_retry)
def stage_task(layout: Layout, stage: Stage, force: bool = False) -> Outcome:
    """Bring one stage up to date through DVC."""
    (profile, night), log = active_settings(layout), get_run_logger().info
    work = layout, profile, night.name, stage
    with charged(*work), within_budget(*work), overheard(log):
        outcome = run_through_dvc(layout, stage, force=force)
    say(f"[{stage}] {_WORDS[outcome.how].format(outcome.seconds)}")
    manifest = Manifest.read(layout.manifest(stage))
    rows = [{"metric": name, "value": f"{value:.6g}"} for name, value in sorted(manifest.metrics.items())]
    rows += [
        {"metric": "outcome", "value": outcome.how},
        {"metric": "MLflow run", "value": manifest.mlflow_run_id},
    ]
    create_table_artifact(key=f"stage-{stage}", table=rows, description=f"Stage {stage}: {outcome.how}")
    if stage in RESUMABLE and outcome.how is How.RAN:
        say(share_night(layout, active_night(layout)))
    return outcome


def share_night(layout: Layout, night: Night) -> str:
    """Leave with MLflow and DVC's remote what `tasks.takeover` goes on from; says what became of it.

    The remote may be full or away, which costs the night nothing.
    """
    tracking = Tracking(layout)
    run_id = tracking.night_run(night.name)
    tracking.set_tags(run_id, {CODE_REVISION: code_revision(layout.root)})
    tracking.log_path(run_id, lock_file(layout))
    tracking.log_path(run_id, layout.night_file)
    try:
        return f"{push(layout)} new files in DVC's default remote"
    except Exception as error:  # the remote's library may raise anything
        return (
            f"DVC's remote has not all of this night: {error}; is it full or away? `dvc push` makes up for it"
        )


@task(cache_policy=NO_CACHE, task_run_name="open night")
def active_night_task(layout: Layout) -> Night:
    """The night whose outputs lie in `artifacts/`, if it is trained to the end."""
    _, night = active_settings(layout)
    open_workspace(layout)
    if not is_up_to_date(layout, Stage.EXPORT):
        raise WarpsmithError(
            f"night {night.name} is not trained to the end; `make nightly NIGHT={night.name}` does that"
        )
    say(f"night {night.name} of profile {layout.profile}")
    return night


@task(cache_policy=NO_CACHE, task_run_name="promotion gate")
def gate_task(layout: Layout, night: Night) -> Promotion:
    """Register the night's model and decide on its promotion."""
    promotion = promote(layout, night, Registry(Tracking(layout)))
    version = f"Version {promotion.version} of `warpsmith-{layout.profile}`."
    create_markdown_artifact(key="promotion", markdown=f"**{promotion.decision.reason}**\n\n{version}")
    create_table_artifact(key="decision", table=promotion.rows(), description="What the gate decided by")
    _tell(_event(promotion), layout, night.name, promotion.decision.reason)
    if promotion.decision.awaits_approval:
        model = f"models:/warpsmith-{layout.profile}/{promotion.version}"
        say(f"`python -m tasks.registry approve {model}` makes it the champion")
    return promotion


def _event(promotion: Promotion) -> Event:
    decision = promotion.decision
    if decision.drifts:
        return Event.DRIFTING
    if decision.awaits_approval:
        return Event.AWAITS_APPROVAL
    return Event.PROMOTED if decision.promote else Event.NOT_PROMOTED


@task(cache_policy=NO_CACHE, task_run_name="push data")
def push_task(layout: Layout, night: Night) -> None:
    """Copy the night's data and models to DVC's default remote."""
    said = share_night(layout, night)
    say(said)
    create_markdown_artifact(key="push", markdown=said)


@task(cache_policy=NO_CACHE, task_run_name="record night")
def record_task(layout: Layout, night: Night, outcomes: Sequence[Outcome], promotion: Promotion) -> str:
    """Complete the night's parent run in MLflow and return the summary for the terminal."""
    manifests = {stage: Manifest.read(layout.manifest(stage)) for stage in Stage}
    metrics = manifests[Stage.EVALUATE].metrics
    try:
        keep(layout, night.name)
    except (WarpsmithError, OSError) as error:
        say(f"this night cannot be compared with others in {layout.history}: {error}")
    tracking = Tracking(layout)
    run_id = tracking.night_run(night.name)
    tracking.set_note(run_id, note(layout, night, outcomes, manifests, promotion))
    tracking.set_tags(run_id, _facts(night, promotion))
    tracking.log_metrics(run_id, {**metrics, **night_metrics(layout)})
    tracking.log_json(run_id, "decision.json", promotion.model_dump(mode="json"))
    inputs = {path: md5 for manifest in manifests.values() for path, md5 in manifest.inputs.items()}
    tracking.log_datasets(run_id, {path: md5 for path, md5 in inputs.items() if "/prepare/" in path})
    tracking.log_table(run_id, "stages.json", stage_rows(outcomes, manifests))
    profile, _ = active_settings(layout)
    tracking.log_json(run_id, "config.json", profile.model_dump(mode="json"))
    try:
        if not profile.data.task.has_questions:  # the pages are of kernels; the report has the questions
            tracking.log_path(run_id, write_pages(layout, profile, night, promotion, tracking.page).parent)
    except (WarpsmithError, OSError, ValueError, LookupError) as error:  # the night itself is complete
        say(f"the pages of this night cannot be written: {error}")
    create_table_artifact(
        key="stages", table=stage_rows(outcomes, manifests), description=f"Stages of night {night.name}"
    )
    costs = cost_rows(entries(layout), night.name, len(promotion.decision.solved))
    tracking.log_json(run_id, "costs.json", costs)
    _leave_lineage(layout, tracking, night, promotion, run_id)
    tracking.finish(run_id)
    create_table_artifact(key="costs", table=costs, description=f"What night {night.name} took")
    create_markdown_artifact(key="benchmark", markdown=benchmark_markdown(metrics))
    return terminal_summary(layout, night, outcomes, metrics, promotion, tracking.page)


def _leave_lineage(layout: Layout, tracking: Tracking, night: Night, promotion: Promotion, run: str) -> None:
    """Keep the record of what the model was made of; the night is complete without it."""
    context = FlowRunContext.get()
    flow_run = str(context.flow_run.id) if context is not None and context.flow_run is not None else ""
    try:
        keep_lineage(layout, tracking, record(layout, night, promotion, flow_run, run))
    except (WarpsmithError, OSError) as error:
        say(f"the lineage of this night's model is not kept: {error}")


def _facts(night: Night, promotion: Promotion) -> dict[str, str]:
    """Tags by which nights are found and compared."""
    return {
        "warpsmith.promoted": str(promotion.decision.promote),
        TRUSTED: str(promotion.decision.trusted),
        "warpsmith.flags": changes(night.overrides) or "none",
    }


def mark_ended(layout: Layout, night: str, error: BaseException) -> None:
    """Show in MLflow that the night and what ran of it ended early, and why."""
    killed = not isinstance(error, Exception) or isinstance(error, (Requeue, StageCrashed, BudgetSpent))
    Tracking(layout).end_night(night, "KILLED" if killed else "FAILED", str(error) or type(error).__name__)
    if not isinstance(error, Requeue):  # that one goes on by itself
        _tell(Event.FAILED, layout, night, cause(layout, error))


def name_run(name: str) -> None:
    """Give the flow run the night's name, so that a list of runs says something."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.flow_run.id, name=name)
