"""Weights by way of a folder of safetensors files that the engines read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file

from training.rollout.sglang.buckets import Bucket
from training.rollout.sglang.client import Client
from training.rollout.sglang.fleet import Fleet

_PREFIX = "warpsmith-weights-"


class DiskTransfer:
    """Writes each bucket to a file. A `Transfer`."""

    def __init__(self, fleet: Fleet, parent: Path) -> None:
        """Folders are made in `parent`, which all engines can read."""
        self._fleet, self._parent = fleet, parent
        self._folder: Path | None = None
        self._files = self._version = 0

    def begin(self, version: int) -> None:
        """Make a folder for the next weights."""
        self.close()
        self._parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        self._files, self._version = 0, version

    def send(self, bucket: Bucket) -> None:
        """Write one file."""
        if self._folder is None:
            raise RuntimeError("send comes after begin")
        save_bucket(bucket, self._folder, self._files)
        self._files += 1

    def finish(self) -> None:
        """Have the engines read the folder, then delete it."""
        if self._folder is None:
            raise RuntimeError("finish comes after begin")
        folder = self._folder
        self._fleet.each(lambda member: load_folder(member.client, folder, self._version))
        self.close()

    def close(self) -> None:
        """Delete the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def memory_folder() -> Path:
    """A folder in memory where the system has one, else the one for temporary files."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


def save_bucket(bucket: Bucket, folder: Path, number: int) -> None:
    """Write a bucket as `folder`/model-<number>.safetensors."""
    tensors = {name: tensor.cpu().clone() for name, tensor in bucket.tensors()}
    save_file(tensors, folder / f"model-{number:05d}.safetensors", metadata={"format": "pt"})


def load_folder(client: Client, folder: Path, version: int) -> None:
    """Have one engine read the safetensors in `folder` and call them `version`."""
    client.control(
        "/update_weights_from_disk",
        {"model_path": str(folder), "load_format": "safetensors", "weight_version": str(version)},
    )


def load_buckets(client: Client, buckets: Iterable[Bucket], version: int, parent: Path) -> None:
    """Give one engine weights that are kept in memory, through a folder in `parent`."""
    with _temporary(parent) as folder:
        for number, bucket in enumerate(buckets):
            save_bucket(bucket, folder, number)
        load_folder(client, folder, version)


@contextmanager
def _temporary(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as folder:
        yield Path(folder)
