"""The models that a profile keeps, by DVC's hash of their folder: `artifacts/<profile>/models/<md5>/hf`.

Nothing writes there again. Beside each lies `hf.dvc`, by which DVC pushes a model to its remote and brings it
back, here or in another clone.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.files import write_atomically
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout
from tasks.stages.dvc_stage import bring, track


def model_path(layout: Layout, md5: str) -> Path:
    """Where the model with this hash is, or would be."""
    return layout.models / md5.removesuffix(".dir") / "hf"


def keep_model(layout: Layout, model: Path, md5: str) -> Path:
    """Keep a copy of a folder whose hash is `md5`, all or nothing, and hand it to DVC."""
    folder = model_path(layout, md5)
    if not folder.exists():
        unfinished = folder.with_name(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(model, unfinished)
        _check(unfinished, md5)
        unfinished.rename(folder)
    if not _dvc_file(folder).exists():
        track(layout, folder)
    return folder


def bring_model(layout: Layout, md5: str) -> Path:
    """The folder of a kept model with exactly these bytes; DVC brings what is missing or has changed.

    Raises:
        WarpsmithError: if neither this machine nor DVC's remote has it.
    """
    folder = model_path(layout, md5)
    if folder.exists() and path_md5(folder) == md5:
        return folder
    if folder.exists():
        changed = folder.with_name(f"changed-{time.time_ns()}")
        folder.rename(changed)
        print(f"{folder} is not what it was; it is {changed} now, and DVC brings the model again", flush=True)
    out = {"md5": md5, "hash": "md5", "path": folder.name}
    write_atomically(_dvc_file(folder), yaml.safe_dump({"outs": [out]}))
    try:
        bring(layout, _dvc_file(folder))
    except WarpsmithError as error:
        raise WarpsmithError(
            f"the model {md5} is neither in {folder} nor in DVC's cache or remote ({error}); "
            "push it from where it was trained with `dvc push`"
        ) from None
    _check(folder, md5)
    return folder


def _dvc_file(folder: Path) -> Path:
    return folder.with_name("hf.dvc")


def _check(folder: Path, md5: str) -> None:
    found = path_md5(folder)
    if found != md5:
        raise WarpsmithError(f"{folder} is not the model {md5} but {found}; run `make nightly` again")
