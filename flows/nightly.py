"""The `nightly` flow: one night, from fresh problems to the promotion decision.

Each stage is a task that runs the stage of the same name in dvc.yaml, so the flow and `dvc repro` cannot
disagree. `make nightly` runs it in one process (`flows.run`), `prefect deployment run nightly/cpu` on a
worker.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.deployments import planned_date
from tasks.disk.layout import Layout, Stage
from tasks.night_tasks import (
    gate_task,
    log_sentences,
    mark_ended,
    name_run,
    open_night_task,
    push_task,
    record_task,
    say,
    stage_task,
)
from training.launch.local import die_with_parent
from training.launch.lock import exclusive

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


@flow(name="nightly", validate_parameters=True)
def nightly(profile: Name = "cpu", night: Name | None = None, arguments: tuple[str, ...] = ()) -> None:
    """Run, continue or reproduce a night.

    Args:
        profile: a file of infra/profiles/, without its ending.
        night: the night's name; `today` is the date for which the run was planned, in its schedule's zone;
            none is the profile's own night.
        arguments: flags for settings and their values, such as `["--grpo-steps", "5"]`.
    """
    log_sentences()
    if "PREFECT__FLOW_RUN_ID" in os.environ:  # set by a worker; what outlived it could not be stopped
        die_with_parent()
    layout = Layout(Path(), profile)
    with exclusive(layout.lock("night"), f"a night of profile {profile} is running already"):
        name = planned_date().isoformat() if night == "today" else night
        opened = open_night_task(layout, name, arguments)
        name_run(f"night {opened.name}")
        try:
            outcomes = [stage_task(layout, stage) for stage in Stage]
            promotion = gate_task(layout, opened)
            summary = record_task(layout, opened, outcomes, promotion)
        except BaseException as error:  # cancelled runs and killed stages end in MLflow, too
            mark_ended(layout, opened.name, error)
            raise
        say(summary)
        push_task(layout, opened)
