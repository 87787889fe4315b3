"""Checkpoints of a run in training, from which it goes on as if it had never stopped.

A snapshot is `checkpoints/step_000123/`: Megatron's sharded model and optimizer state, `progress.json`
(step, data cursor, schedule) and every rank's random states. It appears by renaming a finished folder, so
a folder with that name is complete. A snapshot belongs to a fingerprint of the run's settings and inputs;
those of another are deleted, so that changed settings train anew instead of resuming something else.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from training import torch_dist
from training.megatron_cpu import cpu_compat
from training.processes import is_main
from training.rollout.prompts import CursorState
from training.trainer import Trainer

_PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a run is, besides its weights."""

    step: int
    """Completed steps."""
    cursor: CursorState
    """State of the data cursor: what is drawn next."""


class Snapshots:
    """The snapshots of one run, in one folder."""

    def __init__(self, folder: Path, *, keep: int, fingerprint: str) -> None:
        """Use `folder`; collective. Leftovers of killed writes and of other runs are deleted.

        `fingerprint` names the run, and is needed on the main rank only.
        """
        self._folder = folder
        self._keep = keep
        self._fingerprint = fingerprint
        if is_main():
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):  # hidden ones first
                if path.name.startswith(".") or self._read(path)["fingerprint"] != fingerprint:
                    _remove(path)
        dist.barrier()

    def save(self, trainer: Trainer, progress: Progress) -> None:
        """Write a snapshot and delete those beyond the number to keep; collective."""
        final = self._folder / f"step_{progress.step:06d}"
        unfinished = self._folder / f".{final.name}"
        if is_main():
            unfinished.mkdir()
        dist.barrier()
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
                **asdict(progress),
                "schedule": schedule,
                "fingerprint": self._fingerprint,
            }
            (unfinished / _PROGRESS).write_text(json.dumps(record))
            unfinished.rename(final)
            for old in self._complete()[: -self._keep]:
                _remove(old)
        dist.barrier()

    def restore(self, trainer: Trainer) -> Progress | None:
        """Load the latest snapshot into `trainer` and the random generators, if there is one; collective."""
        complete = self._complete()
        if not complete:
            return None
        latest = complete[-1]
        record = self._read(latest)
        loaded = torch_dist.load(_sharded_state(trainer, record["schedule"], is_loading=True), latest)
        trainer.model.load_state_dict(loaded["model"])
        trainer.weights_changed()
        if "optimizer" in loaded:
            with cpu_compat():
                trainer.optimizer.load_state_dict(loaded["optimizer"])
        trainer.scheduler.load_state_dict(record["schedule"])
        random_file = latest / _random_file()
        if random_file.exists():  # not so for a rank that the saving run did not have
            _restore_random_states(random_file.read_bytes())
        return Progress(record["step"], record["cursor"])

    def _complete(self) -> list[Path]:
        return sorted(self._folder.glob("step_*"))

    def _read(self, snapshot: Path) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((snapshot / _PROGRESS).read_text())
        return record


def _remove(path: Path) -> None:
    """Delete a folder that no longer looks complete from the first moment on."""
    hidden = path.with_name(f".{path.name.removeprefix('.')}")
    path.rename(hidden)
    shutil.rmtree(hidden)


def fingerprint(settings: Iterable[Frozen], inputs: Iterable[Path]) -> str:
    """A hash of settings and of the contents of input files and folders."""
    digest = hashlib.sha256("".join(one.model_dump_json() for one in settings).encode())
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
        state = {"model": trainer.model.sharded_state_dict()}
        if schedule["num_steps"] > 0:
            state["optimizer"] = trainer.optimizer.sharded_state_dict(state["model"], is_loading=is_loading)
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
