"""Folders that are either complete or not there, and folders that make room for others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from evaluation.errors import WarpsmithError

#: What a training run writes into its output folder.
OUTPUT, SNAPSHOTS, METRICS, SAMPLES = "torch_dist", "checkpoints", "metrics.jsonl", "rollouts.jsonl"
#: Folder inside a trained checkpoint with the adapters that were merged into it, as PEFT has them.
ADAPTER = "adapter"


def set_aside(folder: Path) -> Path:
    """Rename a folder to the first free one of `NAME.old-1`, `NAME.old-2`, ...; returns where it is."""
    aside = next(path for n in count(1) if not (path := folder.with_name(f"{folder.name}.old-{n}")).exists())
    return folder.rename(aside)


@contextmanager
def complete_or_absent(out_dir: Path) -> Iterator[Path]:
    """Give a folder beside `out_dir` to fill; it becomes `out_dir` at the end, or is deleted on any error.

    Raises WarpsmithError if `out_dir` holds something already, or cannot be written.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise WarpsmithError(f"{out_dir} exists already; remove it or name another folder")
    unfinished = out_dir.with_name(f".{out_dir.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.replace(out_dir)
    except OSError as error:
        raise WarpsmithError(f"{out_dir} cannot be written ({error}); free space or fix the path") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
