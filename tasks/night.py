"""A night: its name, which seeds its problems, and the champion that it starts from.

`night.yaml` holds the active night's parameters, which DVC watches. Every night's parameters are
kept under `nights/`, so that naming an older night reproduces it, whatever was promoted since.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from tasks.files import write_atomically
from tasks.hashing import path_md5
from tasks.layout import Layout
from tasks.profile import load_profile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_DATE = re.compile(r"\d+-\d+-\d+")


class Champion(Frozen):
    """The promoted model that a night starts from."""

    night: str
    """The night that trained it."""
    model: str
    """Its Hugging Face folder, relative to the checkout; never written again."""
    md5: str
    """DVC's hash of that folder."""


class Night(Frozen):
    """The parameters of a night, as they stand in `night.yaml`."""

    name: str
    """Also the seed of its fresh problems."""
    champion: Champion | None
    """Where training starts; none means the base model and SFT."""
    sources: dict[str, str] = Field(default_factory=dict)
    """DVC's hash of every extra source of problems: they lie outside the pipeline."""


def resolve_name(name: str) -> str:
    """Check a night's name and replace `today` by the date.

    Raises:
        WarpsmithError: if it cannot be a name: it becomes part of file names.
    """
    if name == "today":
        return date.today().isoformat()
    if not _NAME.fullmatch(name):
        raise WarpsmithError(
            f"night {name!r} is not a name: use a date such as 2026-12-01, or at most 40 letters, digits, "
            "dots, dashes and underscores that start with a letter or digit"
        )
    if _DATE.fullmatch(name):
        _check_date(name)
    return name


def open_night(
    layout: Layout, name: str, champion: Callable[[], Champion | None], sources: Iterable[Path] = ()
) -> Night:
    """Make `name` the active night; a night that was opened before keeps its champion.

    Args:
        layout: the profile's folders.
        name: of the night, or `today`.
        champion: gives the model to start from; asked only about a new night.
        sources: extra files and folders of problems, as the profile names them.

    Raises:
        WarpsmithError: if the name is not one, or a source is missing.
    """
    name = resolve_name(name)
    record = layout.night_record(name)
    night = _read(record) if record.exists() else Night(name=name, champion=champion())
    night = night.model_copy(update={"sources": _hash_sources(layout, sources)})
    text = yaml.safe_dump(night.model_dump(), sort_keys=False)
    for path in (record, layout.night_file):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
    return night


def active_night(layout: Layout) -> Night:
    """The night that is open.

    Raises:
        WarpsmithError: if none is.
    """
    if not layout.night_file.exists():
        raise WarpsmithError(f"{layout.night_file} is missing: no night is open; `make setup` opens one")
    return _read(layout.night_file)


def _read(path: Path) -> Night:
    try:
        return Night.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError):
        raise WarpsmithError(f"{path} does not describe a night; delete it and run `make nightly`") from None


def _hash_sources(layout: Layout, sources: Iterable[Path]) -> dict[str, str]:
    try:
        return {str(source): path_md5(layout.root / source) for source in sources}
    except OSError as error:
        raise WarpsmithError(f"source {error.filename} cannot be read; correct `data.sources`") from None


def _check_date(name: str) -> None:
    try:
        date.fromisoformat(name)
    except ValueError:
        raise WarpsmithError(f"night {name!r} looks like a date and is none; write 2026-12-01") from None


def main() -> int:
    """Open the profile's own night unless one is open, so that `dvc repro` has its parameters."""
    parser = argparse.ArgumentParser(prog="python -m tasks.night", description=main.__doc__)
    parser.add_argument("--profile", default="cpu")
    try:
        layout = Layout(Path(), parser.parse_args().profile)
        profile = load_profile(layout)
        if not layout.night_file.exists():
            open_night(layout, profile.night, lambda: None, profile.data.sources)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
