"""The budget of a night: when it is spent, the stage at work saves what it has, and the night ends.

Hours and GPU-hours count over all starts of a night, by its ledger. A stage is asked to stop as a batch
system would ask it, with SIGUSR1, so training goes on from that very step if somebody raises the budget.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.profile import Profile
from tasks.report.ledger import entries, gpus_held, spent
from tasks.stages.dvc_stage import last_holder
from training.launch.local import Requeue

#: A stage that has not taken its lock yet is asked again.
_AGAIN_S = 1.0


class BudgetSpent(WarpsmithError):
    """The night has used what it may use."""


@contextmanager
def within_budget(layout: Layout, profile: Profile, night: str, stage: Stage) -> Iterator[None]:
    """Run a stage for as long as the night's budget lasts.

    Raises:
        BudgetSpent: it is spent, or was before.
    """
    left = _seconds_left(layout, profile, night)
    if left is None:
        yield
        return
    if left <= 0:
        raise BudgetSpent(_sentence(layout, profile, night, f"before stage {stage}"))
    done, fired, before = threading.Event(), threading.Event(), last_holder(layout, stage)

    def ask() -> None:
        if done.wait(left):
            return
        fired.set()
        while not _asked_to_stop(layout, stage, before) and not done.wait(_AGAIN_S):
            pass

    watch = threading.Thread(target=ask, name="budget", daemon=True)
    watch.start()
    try:
        yield
    except Requeue as request:
        if not fired.is_set():
            raise
        said = _sentence(layout, profile, night, f"in stage {stage}, which goes on from where it stopped")
        raise BudgetSpent(said) from request
    finally:
        done.set()
        watch.join()


def _seconds_left(layout: Layout, profile: Profile, night: str) -> float | None:
    budget = profile.budget
    hours, gpu_hours, _ = spent(entries(layout), night)
    left = []
    if budget.hours is not None:
        left.append(budget.hours - hours)
    if budget.gpu_hours is not None and (gpus := gpus_held(profile)):
        left.append((budget.gpu_hours - gpu_hours) / gpus)
    return 3600 * min(left) if left else None


def _asked_to_stop(layout: Layout, stage: Stage, before: tuple[str, int] | None) -> bool:
    """Signal the process that has taken the stage's lock since `before`; false if none has."""
    holder = last_holder(layout, stage)
    if holder is None or holder == before or not holder[0].strip().isdigit():
        return False
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(int(holder[0]), signal.SIGUSR1)
    return True


def _sentence(layout: Layout, profile: Profile, night: str, where: str) -> str:
    hours, gpu_hours, _ = spent(entries(layout), night)
    allowed = ", ".join(f"{name} {value:g}" for name, value in profile.budget if value is not None)
    used = f"{hours:.2f} hours and {gpu_hours:.2f} GPU-hours of {allowed}"
    return f"the budget of night {night} is spent {where}: {used}; raise `budget` and run again to go on"
