"""Checkpoints of a run in training, from which it goes on as if it had never stopped.

A snapshot is `checkpoints/step_000123/`: Megatron's sharded model (of one with adapters these alone) and
optimizer state, `progress.json` (step, data cursor, schedule), every rank's random states, and in
asynchronous mode the rollouts that were made ahead of training. It appears by renaming a finished folder, so
a folder with that name is complete. One
that cannot be read all the same becomes `step_000123.unreadable`, and the one before it takes its place.

A snapshot belongs to a fingerprint of what the result depends on: settings with that mark and the contents of
inputs, not the code. Where those of another run lie, the whole folder becomes `checkpoints.old-1`, so that
changed settings train anew instead of resuming something else, and nothing is lost: with the former settings
it is taken up again. `checkpoints/best.json` names the snapshot that did best in evaluation, which is
kept however old it gets.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.distributed as dist

from evaluation.errors import WarpsmithError
from evaluation.marks import Affects, part
from evaluation.problem import Frozen
from training.checkpoint import torch_dist
from training.checkpoint.folders import set_aside
from training.launch.agreement import from_rank_0
from training.launch.processes import is_main
from training.model.megatron_cpu import cpu_compat
from training.optimize.optimizer import sharded_state
from training.optimize.trainer import Trainer
from training.settings.optimization import OptimizationSettings

if TYPE_CHECKING:
    from training.rollout.prompts import CursorState

_PROGRESS, _AHEAD, _BEST = "progress.json", "ahead.pickle", "best.json"
_SNAPSHOT = re.compile(r"step_(\d+)")
_LEFTOVER = re.compile(rf"\.({_SNAPSHOT.pattern}(\.unreadable)?|{re.escape(_BEST)})")


class Best(Frozen):
    """The snapshot with the best value of a metric so far."""

    step: int
    """Completed steps."""
    metric: str
    """What was compared; more is better."""
    value: float
    """Of the metric."""
    folder: str
    """The snapshot, beside `best.json`."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, besides its weights."""

    step: int
    """Completed steps."""
    cursor: CursorState
    """State of the data cursor: what is drawn next."""
    ahead: bytes = b""
    """What was generated ahead of training (`RolloutQueue.state`); nothing in a synchronous run."""


class _Record(Frozen):
    """Contents of `progress.json`."""

    step: int
    cursor: dict[str, int]
    """A `CursorState`."""
    schedule: dict[str, Any]
    """State of the learning-rate schedule."""
    fingerprint: str
    """The run that it belongs to."""
    best: Best | None


class Snapshots:
    """The snapshots of one run, in one folder."""

    def __init__(self, folder: Path, *, keep: int, fingerprint: str, steps: int | None = None) -> None:
        """Use `folder`; collective. Leftovers of killed writes are deleted, nothing else is.

        Args:
            folder: where they lie.
            keep: how many are kept.
            fingerprint: names the run; needed on the main rank only.
            steps: how far the run goes; snapshots beyond are those of another one. None is no end.
        """
        self._folder = folder
        self._keep = keep
        self._fingerprint = fingerprint
        self.former: Path | None = None
        """Where the folder went because it held another run's snapshots; known on the main rank only."""
        if is_main():
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if _LEFTOVER.fullmatch(path.name):
                    _remove(path)
            latest = self._latest_readable()
            if latest is not None and not _is_of(latest, fingerprint, steps):
                self.former = _make_room(folder, latest.step, self._earlier(steps))
        latest_of_all = self._agreed_latest()
        self.best = latest_of_all[1].best if latest_of_all else None
        if is_main():
            self._write_best()
        dist.barrier()

    def save(self, trainer: Trainer, progress: Progress, score: tuple[str, float] | None = None) -> None:
        """Write a snapshot and delete those beyond the number to keep; collective.

        `score` is the name and value of a metric if this snapshot is the best so far by it.
        """
        final = self._folder / _name(progress.step)
        if score is not None:
            self.best = Best(step=progress.step, metric=score[0], value=score[1], folder=final.name)
        unfinished = self._folder / f".{final.name}"
        if is_main():
            unfinished.mkdir()
        dist.barrier()
        unfinished.mkdir(exist_ok=True)  # to another node's view of a shared disk it may be new
        try:
            schedule = trainer.scheduler.state_dict()
            torch_dist.save(_sharded_state(trainer, schedule, is_loading=False), unfinished)
            (unfinished / _random_file()).write_bytes(_random_states())
        except (WarpsmithError, OSError):
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        dist.barrier()
        if is_main():
            record = {
                "step": progress.step,
                "cursor": progress.cursor,
                "schedule": schedule,
                "fingerprint": self._fingerprint,
                "best": self.best.model_dump() if self.best else None,
            }
            (unfinished / _PROGRESS).write_text(json.dumps(record))
            if progress.ahead:
                (unfinished / _AHEAD).write_bytes(progress.ahead)
            unfinished.rename(final)
            self._write_best()
            self._remove_old()
        dist.barrier()

    def restore(self, trainer: Trainer) -> Progress | None:
        """Load the latest snapshot into `trainer` and the random generators, if there is one; collective.

        Of a trainer with adapters it holds these alone: the model itself must be loaded already.
        """
        agreed = self._agreed_latest()
        if agreed is None:
            return None
        latest, record = agreed
        loaded = torch_dist.load(_sharded_state(trainer, record.schedule, is_loading=True), latest)
        trainer.model.load_state_dict(loaded["model"], strict=not trainer.has_adapters)
        trainer.weights_changed()
        if "optimizer" in loaded:
            with cpu_compat():
                trainer.optimizer.load_state_dict(loaded["optimizer"])
        trainer.scheduler.load_state_dict(record.schedule)
        random_file = latest / _random_file()
        if random_file.exists():  # not so for a rank that the saving run did not have
            _restore_random_states(random_file.read_bytes())
        ahead = latest / _AHEAD
        made = ahead.read_bytes() if ahead.exists() else b""
        return Progress(record.step, cast("CursorState", record.cursor), made)

    def _agreed_latest(self) -> tuple[Path, _Record] | None:
        """The latest snapshot as the main rank sees it, on all ranks: on a shared disk another node's list
        may be older; collective."""
        complete = self._complete() if is_main() else []
        agreed: tuple[Path, _Record] | None = from_rank_0(
            (complete[-1], self._read(complete[-1])) if complete else None
        )
        return agreed

    def _latest_readable(self) -> _Record | None:
        """What the latest snapshot says; those after it that cannot be read are renamed, and named."""
        latest, damaged = None, {}
        for snapshot in reversed(self._complete()):
            reason = _damage(snapshot)
            if reason is None:
                latest = self._read(snapshot)
                break
            damaged[snapshot.name] = reason
            _rename_over(snapshot, snapshot.with_name(f"{snapshot.name}.unreadable"))
        if damaged:
            instead = f"training goes on from {_name(latest.step)}" if latest else "training begins anew"
            listed = " and ".join(f"{name} ({reason})" for name, reason in damaged.items())
            print(f"{self._folder}: cannot read {listed}; {instead}", flush=True)
        return latest

    def _complete(self) -> list[Path]:
        return sorted((path for path in self._folder.iterdir() if _SNAPSHOT.fullmatch(path.name)), key=_step)

    def _earlier(self, steps: int | None) -> Path | None:
        """Where this run's own snapshots lie, if another run set them aside."""
        for aside in self._folder.parent.glob(f"{self._folder.name}.old-*"):
            found = sorted((path for path in aside.iterdir() if _SNAPSHOT.fullmatch(path.name)), key=_step)
            if found and not _damage(found[-1]) and _is_of(self._read(found[-1]), self._fingerprint, steps):
                return aside
        return None

    def _remove_old(self) -> None:
        for old in self._complete()[: -self._keep]:
            if self.best is None or old.name != self.best.folder:
                _remove(old)

    def _write_best(self) -> None:
        """Make `best.json` say what the latest snapshot does."""
        if self.best is None:
            (self._folder / _BEST).unlink(missing_ok=True)
            return
        unfinished = self._folder / f".{_BEST}"
        unfinished.write_text(self.best.model_dump_json(indent=2))
        unfinished.replace(self._folder / _BEST)

    def _read(self, snapshot: Path) -> _Record:
        return _Record.model_validate_json((snapshot / _PROGRESS).read_bytes())


def _damage(snapshot: Path) -> str | None:
    """What makes a snapshot useless; none if it can be read."""
    file = snapshot / _PROGRESS
    try:
        _Record.model_validate_json(file.read_bytes())
        for file in sorted(snapshot.glob("*.pickle")):
            pickle.loads(file.read_bytes())
    except FileNotFoundError:
        return f"it lacks {file.name}"
    except Exception:  # damage may make any: it is unpickled
        return f"{file.name} is damaged"
    return torch_dist.damage(snapshot)


def _name(step: int) -> str:
    return f"step_{step:06d}"


def _step(snapshot: Path) -> int:
    return int(snapshot.name.removeprefix("step_"))


def _remove(path: Path) -> None:
    """Delete a folder that no longer looks complete from the first moment on, or a file's leftover."""
    hidden = path.with_name(f".{path.name.removeprefix('.')}")
    path.rename(hidden)
    if hidden.is_dir():
        shutil.rmtree(hidden)
    else:
        hidden.unlink()


def _rename_over(path: Path, target: Path) -> None:
    """Rename a folder or file, whatever has the new name."""
    if target.exists():
        _remove(target)
    path.rename(target)


def _is_of(record: _Record, fingerprint: str, steps: int | None) -> bool:
    """Whether a snapshot is one that the run with this fingerprint and so many steps comes by."""
    return record.fingerprint == fingerprint and (steps is None or record.step <= steps)


def _make_room(folder: Path, step: int, earlier: Path | None) -> Path:
    """Set another run's folder aside, say so, and put this run's `earlier` or an empty one there."""
    old = set_aside(folder)
    if earlier is None:
        folder.mkdir()
    else:
        earlier.rename(folder)
    begins = "begins anew" if earlier is None else f"goes on with what was in {earlier}"
    print(
        f"{folder} held the snapshots of another run (up to step {step}; other settings or inputs): they are "
        f"in {old} now, and this run {begins}; delete that folder if it is of no use",
        flush=True,
    )
    return old


def fingerprint(settings: Sequence[Frozen], inputs: Iterable[Path]) -> str:
    """A hash of the settings that the result depends on, and of the contents of input files and folders.

    A run may get more steps as long as its learning rate does not depend on their number.
    """
    said = [part(one, Affects.RESULT) for one in settings]
    for one, values in zip(settings, said, strict=True):
        if isinstance(one, OptimizationSettings) and one.may_grow:
            del values["steps"]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path in inputs:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _sharded_state(trainer: Trainer, schedule: dict[str, Any], *, is_loading: bool) -> dict[str, Any]:
    """Model and optimizer state as Megatron's checkpoints take them.

    Before its first step the optimizer has no state. That is so even after many GRPO steps if no group's
    rewards differed.
    """
    with cpu_compat():
        state = {"model": torch_dist.trained_state(trainer.model)}
        if schedule["num_steps"] > 0:
            state["optimizer"] = sharded_state(trainer.optimizer, state["model"], is_loading=is_loading)
    return state


def _random_file() -> str:
    return f"random_{dist.get_rank():05d}.pickle"


def _random_states() -> bytes:
    """The state of every random generator of this process."""
    states = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }
    return pickle.dumps(states)


def _restore_random_states(saved: bytes) -> None:
    states = pickle.loads(saved)
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
