"""Deletes what no night and no model needs any more: `python -m tasks.garbage --nights 7 --delete`.

Without `--delete` it only lists it. Kept are, in every profile,

* the weights of every version in the registry: delete a version in MLflow to let go of its weights;
* what the last nights that were opened, and the active one, have made, trained and started from;
* what DVC's lock files name now.

All else of checkpoints, models, folders that were set aside, and objects in DVC's cache and in a remote on
this machine is of no use: an older night would be drawn and trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout
from tasks.night import active_night, recorded_night
from tasks.registry import Registry
from tasks.report.history import locked
from tasks.stages.dvc_stage import Store, lock_file, stores
from tasks.tracking.client import MlflowTrouble
from tasks.tracking.runs import Tracking
from training.launch.lock import exclusive

#: How many nights are kept if nobody says otherwise.
NIGHTS = 7


@dataclass(frozen=True)
class Garbage:
    """Files and folders that are of no use for the same reason, and their bytes on the disk."""

    what: str
    paths: tuple[Path, ...]
    size: int


def clean_up(root: Path, nights: int, *, delete: bool) -> list[Garbage]:
    """What of the checkout `root` nobody needs, where the last `nights` nights of each profile are kept.

    Raises:
        WarpsmithError: if a night runs, or MLflow does not say which models are registered.
    """
    layouts = [Layout(root, folder.parent.name) for folder in sorted(root.glob("artifacts/*/nights"))]
    with ExitStack() as stack:
        for layout in layouts:
            busy = f"a night of profile {layout.profile} is running"
            stack.enter_context(exclusive(layout.lock("night"), busy))
        found = list(_garbage(root, layouts, nights))
        if delete:
            for path in (path for one in found for path in one.paths):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for store in stores(root):
                store.forget()
    return found


def _garbage(root: Path, layouts: Sequence[Layout], nights: int) -> Iterator[Garbage]:
    needed: set[str] = set()
    for layout in layouts:
        kept = _nights(layout, nights)
        models = _models(layout, kept)
        needed |= {f"{model.parent.name}.dir" for model in models} | _locked(layout, kept)
        for what, paths in _folders(layout, kept, models):
            yield _described(f"{what} of {layout.profile}", paths)
    for store in stores(root):
        yield _described(f"objects in {store.name}", _unused(store, _with_files(needed, stores(root))))


def _described(what: str, paths: Iterable[Path]) -> Garbage:
    paths = tuple(sorted(paths))
    return Garbage(what, paths, sum(_size(path) for path in paths))


def _nights(layout: Layout, count: int) -> list[str]:
    """The names of the nights to keep, the last opened first."""
    records = sorted(layout.home.glob("nights/*.yaml"), key=lambda path: -path.stat().st_mtime_ns)
    names = [path.stem for path in records[:count]]
    active = [active_night(layout).name] if layout.night_file.exists() else []
    return [*names, *(name for name in active if name not in names)]


def _folders(layout: Layout, kept: Sequence[str], models: set[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Folders of a profile that are not needed, besides what is DVC's."""
    yield "checkpoints of earlier nights", [p for p in layout.home.glob("training/*") if p.name not in kept]
    aside = [
        *layout.home.glob("*.old-*"),
        *(p for n in kept for p in layout.home.glob(f"training/{n}/*.old-*")),
    ]
    yield "what was set aside", aside
    yield "models without a version", [p.parent for p in layout.models.rglob("hf") if p not in models]


def _models(layout: Layout, nights: Iterable[str]) -> set[Path]:
    """Folders of the models that are registered, or that a night starts from."""
    champions = [night.champion for name in nights if (night := recorded_night(layout, name))]
    started = {layout.root / champion.model for champion in champions if champion}
    return started | Registry(Tracking(layout)).folders()


def _locked(layout: Layout, kept: Sequence[str]) -> set[str]:
    """DVC's hashes of all that the nights which are kept have made and read."""
    now = [lock_file(layout).read_text(encoding="utf-8")] if lock_file(layout).exists() else []
    locks = [*now, *(locked(layout, night) or _recorded_lock(layout, night) for night in kept)]
    return {md5 for text in locks if text for md5 in _hashes(yaml.safe_load(text))}


def _recorded_lock(layout: Layout, night: str) -> str | None:
    """What a night that did not end had finished, as MLflow has it."""
    try:
        record = Tracking(layout).recorded_night(night, ("dvc.lock",))
    except MlflowTrouble as trouble:
        if trouble.passing:
            raise
        return None
    return record["dvc.lock"] if record else None


def _hashes(value: Any) -> Iterator[str]:
    """Every md5 in a lock file."""
    if isinstance(value, dict):
        yield from (str(inner) for name, inner in value.items() if name == "md5")
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _hashes(inner)


def _with_files(needed: set[str], places: Sequence[Store]) -> set[str]:
    """These hashes and, for those of folders, the hashes of the files in them."""
    folders = [place.path(md5) for md5 in needed if md5.endswith(".dir") for place in places]
    listings = [json.loads(path.read_text(encoding="utf-8")) for path in folders if path.exists()]
    return needed | {entry["md5"] for listing in listings for entry in listing}


def _unused(store: Store, needed: set[str]) -> list[Path]:
    """The objects of a store that nobody needs."""
    keep = {store.path(md5) for md5 in needed}
    objects = (path for path in store.folder.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    return [path for path in objects if path not in keep]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error message says what to do."""
    parser = argparse.ArgumentParser(prog="python -m tasks.garbage", description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=NIGHTS, help="nights of each profile that are kept")
    parser.add_argument("--delete", action="store_true", help="delete it, instead of listing it only")
    options = parser.parse_args(argv)
    if options.nights < 1:
        parser.error("--nights must be at least 1")
    try:
        found = clean_up(Path(), options.nights, delete=options.delete)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for one in found:
        print(f"{one.size / 1e6:10.1f} MB  {len(one.paths):6} {one.what}")
        for path in () if one.what.startswith("objects") else one.paths:
            print(f"{'':27}{path}")
    total = sum(one.size for one in found)
    print(f"{total / 1e6:10.1f} MB  {'deleted' if options.delete else 'in all; --delete deletes it'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
