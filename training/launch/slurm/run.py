"""A training run as a batch job: submitted, followed to its end, found again by whoever follows it next.

The job does not need its submitter. That one may be stopped (SIGTERM) or die, and the next start of the same
run finds the job by its name, which follows from the run's folder. What ends the job is Ctrl-C, and a start
with other settings.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.launch.local import ProcessError, Requeue
from training.launch.lock import exclusive
from training.launch.signals import handling
from training.launch.slurm import client
from training.launch.slurm.node import Submission
from training.launch.slurm.outcome import OUTCOMES, Ending, Outcome, read_outcomes
from training.launch.slurm.script import LOG, SCRIPT, SUBMISSION, batch_script
from training.settings.jobs import GrpoJob, SftJob
from training.settings.launcher import LauncherSettings

#: Longest that the controller may give no answer.
_PATIENCE_S = 1800.0
#: Longest that a shared disk takes to show what a node has written.
_DISK_S = 30.0
_JOB = "slurm.job"


def run_slurm_job(
    module: str, job: GrpoJob | SftJob, out_dir: Path, processes: int, settings: LauncherSettings
) -> None:
    """Run `module` with `job` as a batch job on the nodes that `settings` ask for, to its end.

    Raises what `run_command` does.
    """
    folder = out_dir.absolute()
    submission = Submission(module=module, job=job, processes=processes)
    command = ["-m", "training.launch.slurm.node", str(folder)]
    run_command(command, submission.model_dump_json(indent=2), folder, settings)


def run_command(command: Sequence[str], submission: str, folder: Path, settings: LauncherSettings) -> None:
    """Run `python command...` once on every node of a batch job, to its end.

    Args:
        command: arguments of the interpreter; what they name says how it ended by `outcome.run_on_node`.
        submission: JSON that says all that the job depends on; the job finds it in `folder`.
        folder: the job's, on the shared disk.
        settings: what the job asks for.

    Raises what `training.launch.local.run_job` does; Requeue also where this process alone was asked to stop.
    """
    with exclusive(folder / ".submitter", f"another process follows the job of {folder}"):
        follower = _Follower(folder, settings)
        with handling(lambda number, frame: follower.leave()):
            follower.attach(command, submission)
            try:
                follower.follow()
            except KeyboardInterrupt:
                follower.cancel()
                raise


class _Follower:
    """Follows the job of one run."""

    def __init__(self, folder: Path, settings: LauncherSettings) -> None:
        self._folder, self._settings = folder, settings
        self._name = f"warpsmith-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        self._job = 0
        self._shown = 0
        self._leaves = False

    def leave(self) -> None:
        """Stop following as soon as possible; the job goes on."""
        self._leaves = True

    def attach(self, command: Sequence[str], text: str) -> None:
        """Find the job, or submit one; a job with another submission is cancelled first."""
        file = self._folder / SUBMISSION
        script = batch_script(self._settings, self._name, command, Path().absolute(), self._folder)
        same = all(_text(path) == wanted for path, wanted in ((file, text), (self._script, script)))
        running = client.find(self._name)
        if running is not None and same:
            self._job, self._shown = running, _size(self._log)
            print(f"slurm: follows job {self._job} again", flush=True)
            return
        if running is not None:
            print(f"slurm: job {running} was submitted with other settings and is cancelled", flush=True)
            client.cancel(running)
            self._wait_for_end(running)
        ended = self._unread() if same else None
        if ended is not None:
            self._job = ended
            return
        shutil.rmtree(self._folder / OUTCOMES, ignore_errors=True)
        file.write_text(text)
        self._script.write_text(script)
        self._shown = _size(self._log)
        self._job = client.submit(self._script)
        draft = self._record.with_name(f".{_JOB}")
        draft.write_text(str(self._job))
        draft.replace(self._record)
        print(f"slurm: job {self._job} is submitted; what it says is in {self._log}", flush=True)

    def follow(self) -> None:
        """Show what the job says until it ends; then return, or raise why it failed."""
        state, said = "", ""
        while client.is_unfinished(state := self._state()):
            if state != said:
                print(f"slurm: job {self._job} is {state}", flush=True)
                said = state
            self._show()
            self._pause()
        self._show()
        self._record.unlink(missing_ok=True)
        self._raise(state, self._outcomes(state))

    def cancel(self) -> None:
        """End the job."""
        with suppress(WarpsmithError):
            client.cancel(self._job)
            print(f"slurm: job {self._job} is cancelled", flush=True)

    @property
    def _script(self) -> Path:
        return self._folder / SCRIPT

    @property
    def _log(self) -> Path:
        return self._folder / LOG

    @property
    def _record(self) -> Path:
        """Holds the id of a job whose end nobody has read yet."""
        return self._folder / _JOB

    def _unread(self) -> int | None:
        """The job that ended while nobody followed it, and came to the end of its work."""
        job = _text(self._record).strip()
        return int(job) if job.isdigit() and (self._folder / OUTCOMES).exists() else None

    def _state(self) -> str:
        """The job's state; a controller that is away is waited for."""
        start, told = time.monotonic(), False
        while True:
            try:
                return client.state(self._job)
            except client.SlurmTrouble as trouble:
                if time.monotonic() - start > _PATIENCE_S:
                    raise
                if not told:
                    print(f"slurm: {trouble}; the job is not affected", flush=True)
                    told = True
                self._pause()

    def _pause(self) -> None:
        end = time.monotonic() + self._settings.poll_s
        while (left := end - time.monotonic()) > 0 and not self._leaves:
            time.sleep(min(left, 0.2))
        if self._leaves:
            raise Requeue(
                f"this process was asked to stop; job {self._job} goes on (`scancel {self._job}` ends it), "
                "and the next start follows it again"
            )

    def _wait_for_end(self, job: int) -> None:
        while client.is_unfinished(client.state(job)):
            time.sleep(min(1.0, self._settings.poll_s))

    def _show(self) -> None:
        """Print what the job has said since the last time."""
        if _size(self._log) > self._shown:
            with self._log.open("rb") as file:
                file.seek(self._shown)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._shown += len(whole)
            print(whole.decode(errors="replace"), end="", flush=True)

    def _outcomes(self, state: str) -> list[Outcome]:
        """What the launchers left, which may take a moment to appear here."""
        deadline = time.monotonic() + _DISK_S
        expected = self._settings.nodes if state == "COMPLETED" else 1
        while True:
            read = read_outcomes(self._folder)
            if len(read) >= expected or time.monotonic() > deadline or state == "CANCELLED":
                return read
            time.sleep(0.5)

    def _raise(self, state: str, outcomes: list[Outcome]) -> None:
        """Return if the run is done, else say why it is not."""
        for ending in (Ending.EXPLAINED, Ending.CRASHED):
            for outcome in outcomes:
                if outcome.ending is ending:
                    raise (WarpsmithError if ending is Ending.EXPLAINED else ProcessError)(outcome.text)
        if outcomes and all(outcome.ending is Ending.DONE for outcome in outcomes):
            return
        if state == "CANCELLED":
            raise Requeue(f"job {self._job} was cancelled; start it again to go on")
        said = f": {outcomes[0].text}" if outcomes else f"; its end is in {self._log}"
        raise ProcessError(f"job {self._job} ended as {state}{said}")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
