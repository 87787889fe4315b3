"""Slurm's commands, as far as a training job needs them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError

#: States in which a job is not at its end; every other one is.
_UNFINISHED = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"),
    *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
}
_TIMEOUT_S = 120.0


class SlurmTrouble(WarpsmithError):
    """A command of Slurm's failed; the controller may be away."""


def submit(script: Path) -> int:
    """Hand a batch script in; its job's id.

    Raises:
        WarpsmithError: Slurm refuses it, or is not there.
    """
    answer = _run(["sbatch", "--parsable", str(script)])
    return int(answer.split(";")[0])


def find(name: str) -> int | None:
    """The id of this user's unfinished job of that name, if there is one."""
    ids = _run(["squeue", "--me", "--noheader", "--name", name, "--format", "%A"]).split()
    return int(ids[-1]) if ids else None


def state(job: int) -> str:
    """A job's state, such as RUNNING; UNKNOWN if neither the controller nor the accounts know it.

    Raises:
        SlurmTrouble: Slurm gives no answer.
    """
    try:
        said = _run(["scontrol", "show", "job", "--oneliner", str(job)])
    except SlurmTrouble as trouble:
        if "Invalid job id" not in str(trouble):
            raise
        return _accounted(job)  # the controller forgets a job some minutes after its end
    fields = dict(word.split("=", 1) for word in said.split() if "=" in word)
    return fields.get("JobState", "UNKNOWN")


def is_unfinished(state: str) -> bool:
    """Whether a job in this state may still do something."""
    return state in _UNFINISHED


def cancel(job: int) -> None:
    """End a job for good."""
    _run(["scancel", str(job)])


def _accounted(job: int) -> str:
    try:
        said = _run(["sacct", "--jobs", str(job), "-X", "--noheader", "--parsable2", "--format", "State"])
    except SlurmTrouble:
        return "UNKNOWN"
    lines = said.split("\n")
    return lines[0].split()[0] if lines[0].strip() else "UNKNOWN"


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise WarpsmithError(
            f"`{command[0]}` is not installed here; launcher.kind: slurm needs a machine from which jobs are "
            "submitted"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmTrouble(f"`{command[0]}` has not answered for {_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise SlurmTrouble(f"Slurm refuses `{command[0]}`: {said}")
    return done.stdout
