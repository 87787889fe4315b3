"""How a job's work ended, as the node itself says: in files beside the job's script.

Slurm's own words decide little. What came to an end that nothing can change (done, or failed for a reason)
leaves the file `ended`; a job without it was preempted, ran out of wall time or lost a node, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from training.launch.local import REQUEUE, ProcessError, ProcessLost, Requeue

#: In a job's folder: what its nodes say of the end, and that it is one.
OUTCOMES, ENDED = "outcomes", "ended"


class Ending(StrEnum):
    """How a node's part of a job ended."""

    DONE = "done"
    EXPLAINED = "explained"  #: for a reason that the user can put right
    CRASHED = "crashed"  #: for another one
    STOPPED = "stopped"  #: because it was asked to; it goes on
    LOST = "lost"  #: another process or node was gone; it goes on


class Outcome(Frozen):
    """What a node says of the end."""

    ending: Ending
    text: str
    """Why."""


_STATUS = {
    Ending.DONE: 0,
    Ending.CRASHED: 1,
    Ending.EXPLAINED: 2,
    Ending.STOPPED: REQUEUE,
    Ending.LOST: REQUEUE,
}


def run_on_node(folder: Path, number: int, work: Callable[[], object]) -> int:
    """Do a node's part of a job and say how it ended; the exit status is that of `python -m training`."""
    outcome = _outcome_of(work)
    status = _STATUS[outcome.ending]
    print(f"node {number}: {outcome.ending}{outcome.text and f': {outcome.text}'}", flush=True)
    (folder / OUTCOMES / f"{number}.json").write_text(outcome.model_dump_json())
    if status != REQUEUE:
        (folder / ENDED).touch()
    return status


def read_outcomes(folder: Path) -> list[Outcome]:
    """What the nodes have said so far, the first one first."""
    found = []
    for path in sorted((folder / OUTCOMES).glob("*.json")):
        try:
            found.append(Outcome.model_validate_json(path.read_text()))
        except ValueError:  # half written
            continue
    return found


def _outcome_of(work: Callable[[], object]) -> Outcome:
    try:
        work()
    except Requeue as request:
        return Outcome(ending=Ending.STOPPED, text=str(request))
    except WarpsmithError as error:
        return Outcome(ending=Ending.EXPLAINED, text=str(error))
    except ProcessLost as error:
        return Outcome(ending=Ending.LOST, text=str(error))
    except (ProcessError, Exception) as error:
        said = str(error) if isinstance(error, ProcessError) else repr(error)
        return Outcome(ending=Ending.CRASHED, text=said)
    return Outcome(ending=Ending.DONE, text="")
