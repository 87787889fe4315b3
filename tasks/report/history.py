"""Nights that can be compared with DVC's own commands, in a small git repository of their own.

The checkout must not be dirtied by a night, so DVC works without git there (`core.no_scm`), and then has
nothing to compare. Every night that ends is a commit in `artifacts/<profile>/history/`, tagged with its name:
its settings, the metrics of its stages, the curves of its training and what DVC locked. There

    dvc metrics diff 2026-12-01 2026-12-02     dvc params diff 2026-12-01 2026-12-02
    dvc plots diff 2026-12-01 2026-12-02       dvc metrics show --all-tags
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.files import write_atomically
from tasks.disk.layout import Layout, Stage
from tasks.stages.dvc_stage import lock_file
from tasks.stages.steps import CURVE

_METRICS = "metrics.json"
#: DVC's lock file; under its own name DVC would read it.
_LOCK = "stages.lock"
_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
#: The curves that `dvc plots` draws.
_DRAWN = ((Stage.SFT, "train/loss"), (Stage.GRPO, "reward/mean"))
#: Nobody's name, and nothing of the user's own git.
_OPTIONS = {
    "user.name": "warpsmith",
    "user.email": "warpsmith@localhost",
    "commit.gpgsign": "false",
    "core.hooksPath": "/dev/null",
}


def keep(layout: Layout, night: str) -> None:
    """Commit a night that has ended, unless it is there as it is; the tag with its name moves to it.

    Raises:
        WarpsmithError: if git is missing or refuses.
    """
    folder = layout.history
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _git(folder, "init", "--quiet")
    write_atomically(folder / ".dvc" / "config", _CONFIG)
    write_atomically(folder / ".gitignore", "/.dvc/tmp\n/.dvc/cache\n/dvc_plots\n")
    write_atomically(folder / "dvc.yaml", yaml.safe_dump(_pipeline(), sort_keys=False))
    shutil.copy(layout.night_file, folder / layout.night_file.name)
    if lock_file(layout).exists():
        shutil.copy(lock_file(layout), folder / _LOCK)
    for stage in Stage:
        for made in (layout.stage(stage) / _METRICS, layout.stage(stage) / CURVE):
            if made.exists():
                (folder / stage).mkdir(exist_ok=True)
                shutil.copy(made, folder / stage / made.name)
    _git(folder, "add", "--all")
    if _git(folder, "status", "--porcelain"):
        _git(folder, "commit", "--quiet", "--message", f"night {night}")
    _git(folder, "tag", "--force", night)


def locked(layout: Layout, night: str) -> str | None:
    """DVC's lock file of a night that has ended; none if it is not kept here."""
    if not (layout.history / ".git").exists() or not _git(layout.history, "tag", "--list", night):
        return None
    tracked = _git(layout.history, "ls-tree", "--name-only", night, _LOCK)
    return _git(layout.history, "show", f"{night}:{_LOCK}") if tracked else None


def _pipeline() -> dict[str, object]:
    """The dvc.yaml that says which files hold what."""
    return {
        "params": ["night.yaml"],
        "metrics": [f"{stage}/{_METRICS}" for stage in Stage],
        "plots": [
            {f"{stage} {column}": {"x": "step", "y": {f"{stage}/{CURVE}": column}}}
            for stage, column in _DRAWN
        ],
    }


def _git(folder: Path, *arguments: str) -> str:
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *options, *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
    except OSError:
        raise WarpsmithError("git is missing, by which nights are compared; install it") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise WarpsmithError(f"{folder} takes no night: {reason}; move it away to begin another") from None
    return done.stdout
