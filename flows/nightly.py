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

from tasks.layout import Layout, Stage
from tasks.night_tasks import (
    gate_task,
    log_sentences,
    mark_failed,
    open_night_task,
    push_task,
    record_task,
    say,
    stage_task,
)
from training.launch import die_with_parent
from training.lock import exclusive

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


@flow(name="nightly", validate_parameters=True)
def nightly(profile: Name = "cpu", night: Name | None = None, arguments: tuple[str, ...] = ()) -> None:
    """Run, continue or reproduce a night.

    Args:
        profile: a file of infra/profiles/, without its ending.
        night: the night's name, `today` for the date; none for the profile's own night.
        arguments: flags for settings and their values, such as `["--grpo-steps", "5"]`.
    """
    log_sentences()
    if "PREFECT__FLOW_RUN_ID" in os.environ:  # set by a worker; what outlived it could not be stopped
        die_with_parent()
    layout = Layout(Path(), profile)
    with exclusive(layout.lock("night"), f"a night of profile {profile} is running already"):
        opened = open_night_task(layout, night, arguments)
        try:
            outcomes = [stage_task(layout, stage) for stage in Stage]
            promotion = gate_task(layout, opened)
            push_task(layout)
            summary = record_task(layout, opened, outcomes, promotion)
        except Exception as error:
            mark_failed(layout, opened.name, error)
            raise
    say(summary)
