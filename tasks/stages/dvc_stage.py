"""The one module that talks to DVC: run a stage if it is out of date, push, and keep its files sound.

A profile other than the one in params.yaml runs in a workspace of its own, `artifacts/<profile>/dvc/`,
which holds a copy of dvc.yaml and the profile's params.yaml and dvc.lock. So both drivers always see
the same pipeline, and two profiles never fight over one lock file.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from evaluation.errors import WarpsmithError, causes
from evaluation.problem import Frozen
from tasks.disk.files import write_atomically
from tasks.disk.layout import Layout, Stage
from training.launch.local import REQUEUE, Requeue
from training.launch.signals import handling


class How(StrEnum):
    """What became of a stage."""

    RAN = "ran"  #: its command ran
    RESTORED = "restored"  #: the same inputs were run before: outputs came from DVC's cache
    SKIPPED = "skipped"  #: nothing that it depends on changed


class Outcome(Frozen):
    """What became of a stage under DVC."""

    stage: Stage
    how: How
    seconds: float


class StageFailed(WarpsmithError):
    """A stage's command ended with an error that the stage has explained."""


class StageCrashed(WarpsmithError):
    """A stage's command ended without an explanation: it was killed."""


def preload() -> None:
    """Import DVC now, while the caller waits for something else anyway; what it would log, the flow says."""
    import dvc.repo  # noqa: F401

    for name in ("dvc", "dvc_data", "dvc_objects"):  # a traceback for every file that a full remote refuses
        logging.getLogger(name).setLevel(logging.CRITICAL)


def workspace(layout: Layout) -> Path:
    """The folder of the profile's dvc.yaml and dvc.lock."""
    active = yaml.safe_load((layout.root / "params.yaml").read_text(encoding="utf-8"))["profile"]
    return layout.root if active == layout.profile else layout.home / "dvc"


def lock_file(layout: Layout) -> Path:
    """The profile's dvc.lock."""
    return workspace(layout) / "dvc.lock"


def open_workspace(layout: Layout) -> None:
    """Make the profile's DVC files whole: copies follow dvc.yaml, and what a kill cut short is dropped."""
    folder = workspace(layout)
    if folder == layout.root:
        shutil.rmtree(layout.home / "dvc", ignore_errors=True)  # else two pipelines claim its outputs
    pipeline = (layout.root / "dvc.yaml").read_text(encoding="utf-8")
    for copy in {folder, *(path.parent for path in layout.root.glob("artifacts/*/dvc/dvc.yaml"))} - {
        layout.root
    }:
        _write_if_changed(copy / "dvc.yaml", pipeline)
        params = {"profile": copy.parent.name, "root": "../../.."}
        _write_if_changed(copy / "params.yaml", yaml.safe_dump(params))
    _drop_if_broken(folder / "dvc.lock")
    _drop_if_broken(layout.root / ".dvc" / "tmp" / "rwlock")


def run_through_dvc(layout: Layout, stage: Stage, *, force: bool = False) -> Outcome:
    """Bring one stage up to date; its output goes to this process's own.

    A SIGTERM or SIGUSR1 meanwhile is handed on to the stage, which then saves what it has and stops. (Not so
    under a Prefect worker, for which SIGTERM means to cancel the run.)

    Raises:
        Requeue: the stage, or this process, was asked to stop; another call goes on from there.
        StageFailed: the stage said why.
        StageCrashed: it could not.
        WarpsmithError: DVC itself refused, for instance because another DVC command is at work.
    """
    start = time.monotonic()
    before = last_holder(layout, stage)
    layout.failure(stage).unlink(missing_ok=True)
    with _dvc_errors(layout, stage), _venv_on_path(), _stoppable(layout, stage, before):
        from dvc.repo import Repo

        preload()
        with Repo(str(layout.root)) as repo:
            changed = repo.reproduce(targets=[_address(layout, stage)], single_item=True, force=force)
    how = How.SKIPPED if not changed else How.RAN if last_holder(layout, stage) != before else How.RESTORED
    return Outcome(stage=stage, how=how, seconds=round(time.monotonic() - start, 1))


def is_up_to_date(layout: Layout, stage: Stage) -> bool:
    """Whether neither `stage` nor any stage before it has to run."""
    with _dvc_errors(layout, None), _repo(layout) as repo:
        return not repo.status(targets=[_address(layout, stage)], with_deps=True)


def push(layout: Layout) -> int:
    """Copy what the profile's stages made and its kept models to the default remote; how many files were new.

    Raises:
        WarpsmithError: in one sentence, if the remote is away or full.
    """
    kept = [str(file.relative_to(layout.root)) for file in layout.models.glob("*/hf.dvc")]
    with _dvc_errors(layout, None), _repo(layout) as repo:
        return int(repo.push(targets=[*(_address(layout, stage) for stage in Stage), *kept]))


def track(layout: Layout, path: Path) -> None:
    """Have DVC keep a file or folder that no stage makes; `<path>.dvc` names it from now on."""
    with _dvc_errors(layout, None), _repo(layout) as repo:
        repo.add([str(path.relative_to(layout.root))])


def bring(layout: Layout, *targets: Path | Stage) -> None:
    """Have DVC bring what it knows of, by a `.dvc` file or as a stage's outputs, from its cache or remote."""
    named = [
        _address(layout, t) if isinstance(t, Stage) else str(t.relative_to(layout.root)) for t in targets
    ]
    with _dvc_errors(layout, None), _repo(layout) as repo:
        repo.pull(targets=named, force=True)


@dataclass(frozen=True)
class Store:
    """A folder of DVC's objects on this machine: its cache, or the default remote where that is a folder."""

    name: str
    folder: Path
    index: Any
    """What DVC remembers of it, and must not where objects were deleted."""

    def path(self, md5: str) -> Path:
        """Where the object with this hash is, or would be."""
        return self.folder / md5[:2] / md5[2:]

    def forget(self) -> None:
        """Have DVC look again at what is there."""
        self.index.clear()


def stores(root: Path) -> list[Store]:
    """The places that hold DVC's objects; a remote on another machine is none of them."""
    from dvc.repo import Repo
    from dvc_data.hashfile.db import get_index

    with Repo(str(root)) as repo:
        places = {"DVC's cache": repo.cache.local}
        if repo.config["core"].get("remote"):
            places["DVC's remote"] = repo.cloud.get_remote_odb()
        return [
            Store(name, Path(place.path), get_index(place))
            for name, place in places.items()
            if place.fs.protocol == "local"
        ]


@contextmanager
def _repo(layout: Layout) -> Iterator[Any]:
    from dvc.repo import Repo

    preload()
    with Repo(str(layout.root)) as repo:
        yield repo


def _address(layout: Layout, stage: Stage) -> str:
    """How DVC names a stage from the checkout."""
    return f"{(workspace(layout) / 'dvc.yaml').relative_to(layout.root).as_posix()}:{stage}"


def last_holder(layout: Layout, stage: Stage) -> tuple[str, int] | None:
    """Which process ran the stage last: it leaves its id in the stage's lock file."""
    lock = layout.lock(stage)
    return (lock.read_text(encoding="utf-8"), lock.stat().st_mtime_ns) if lock.exists() else None


@contextmanager
def _dvc_errors(layout: Layout, stage: Stage | None) -> Iterator[None]:
    """Turn DVC's exceptions into the stage's own sentence, or into one of ours."""
    from dvc.exceptions import DvcException
    from dvc.stage.exceptions import StageCmdFailedError

    try:
        yield
    except DvcException as error:
        chain = list(causes(error))
        command_failed = any(isinstance(link, StageCmdFailedError) for link in chain)
        if stage is None or not command_failed:
            raise WarpsmithError(f"DVC: {' '.join(str(chain[-1]).split())}") from error
        failure = layout.failure(stage)
        if any(str(link).endswith(f"exited with {REQUEUE}") for link in chain) and failure.exists():
            raise Requeue(f"stage {stage}: {failure.read_text(encoding='utf-8').strip()}") from error
        if not failure.exists():
            raise StageCrashed(
                f"stage {stage} was killed, perhaps for its memory ({chain[-1]}); run again to go on"
            ) from error
        raise StageFailed(f"stage {stage}: {failure.read_text(encoding='utf-8').strip()}") from error


@contextmanager
def _stoppable(layout: Layout, stage: Stage, before: tuple[str, int] | None) -> Iterator[None]:
    """Hand signals to stop on to the stage; one that finds it not started yet is heeded after it."""
    if "PREFECT__FLOW_RUN_ID" in os.environ:
        yield
        return
    asked = False

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        holder = last_holder(layout, stage)
        if holder is not None and holder != before and holder[0].strip().isdigit():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int(holder[0]), number)

    with handling(forward):
        yield
    if asked:
        raise Requeue(f"the night was asked to stop, after stage {stage}; start it again to go on")


@contextmanager
def _venv_on_path() -> Iterator[None]:
    """Stages say `python`: let that be the one that runs this."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def _drop_if_broken(path: Path) -> None:
    """Remove a file of DVC's (YAML or JSON, a mapping) that was cut short: DVC would stop at it forever.

    Without dvc.lock the stages count as out of date, and those that were run before come from the cache.
    """
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text) if path.name == "rwlock" else yaml.safe_load(text)
    except ValueError:
        content = None
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        path.unlink()
