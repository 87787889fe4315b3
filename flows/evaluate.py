"""The `evaluate` flow: judge the active night's models again, without training anything."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.nightly import Name
from tasks.disk.layout import Layout, Stage
from tasks.night_tasks import active_night_task, gate_task, log_sentences, record_task, say, stage_task
from training.launch.lock import exclusive


@flow(name="evaluate", validate_parameters=True)
def evaluate(profile: Name = "cpu", force: bool = False) -> None:
    """Bring the benchmark of the night that was trained last up to date, and decide on promotion.

    Args:
        profile: a file of infra/profiles/, without its ending.
        force: judge again although nothing changed.
    """
    log_sentences()
    layout = Layout(Path(), profile)
    with exclusive(layout.lock("night"), f"a night of profile {profile} is running already"):
        night = active_night_task(layout)
        outcomes = [stage_task(layout, Stage.EVALUATE, force)]
        promotion = gate_task(layout, night)
        summary = record_task(layout, night, outcomes, promotion)
    say(summary)
