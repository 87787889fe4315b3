"""A night: its name, which seeds its problems, and the champion that it starts from.

`night.yaml` holds the active night's parameters and all its settings, resolved from profile and flags when
the night is opened: stages read this file and nothing else, so that an edit of a profile enters with the next
launch. DVC watches its sections under `result`; those under `machine` may change between two starts of a
night (`evaluation.marks`). Every night's file is kept under `nights/`, so that naming an older night
reproduces it, whatever was promoted since.

The flags of a night are those of its last launch: launched without any, it has none.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from data.sources.location import file_of
from evaluation.errors import WarpsmithError
from evaluation.marks import Affects, joined
from evaluation.problem import Frozen
from tasks.disk.files import write_atomically
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout
from tasks.profile import SECTIONS, Profile, load_profile, read_flags
from training.arguments.help import add_settings_help
from training.arguments.parse import Overrides
from training.arguments.profile_file import validated

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
    overrides: Overrides = Field(default_factory=dict)
    """What flags changed in sections of the profile."""
    result: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The settings, by section, that results depend on."""
    machine: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Those that say where and how fast they are computed."""


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
    layout: Layout,
    name: str,
    champion: Callable[[], Champion | None],
    overrides: Overrides | None = None,
) -> Night:
    """Make `name` the active night, with the profile's settings as they are now; a night that was opened
    before keeps its champion.

    Args:
        layout: the profile's folders.
        name: of the night, or `today`.
        champion: gives the model to start from; asked only about a new night.
        overrides: what the flags of this launch change in the profile.

    Raises:
        WarpsmithError: if the name is not one, for a mistake in the profile, or if a source is missing.
    """
    night = planned_night(layout, name, champion, overrides)
    text = yaml.safe_dump(night.model_dump(), sort_keys=False)
    for path in (layout.night_record(night.name), layout.night_file):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
    return night


def planned_night(
    layout: Layout,
    name: str,
    champion: Callable[[], Champion | None],
    overrides: Overrides | None = None,
) -> Night:
    """What `open_night` would make the active night; writes nothing."""
    name = resolve_name(name)
    before, profile = recorded_night(layout, name), load_profile(layout, overrides)
    return Night(
        name=name,
        champion=before.champion if before else champion(),
        sources=_hash_sources(layout, profile.data.sources),
        overrides={section: changed for section, changed in (overrides or {}).items() if changed},
        result=profile.sections(Affects.RESULT),
        machine=profile.sections(Affects.MACHINE),
    )


def recorded_night(layout: Layout, name: str) -> Night | None:
    """A night as it was opened last, if it ever was."""
    record = layout.night_record(resolve_name(name))
    return _read(record) if record.exists() else None


def active_night(layout: Layout) -> Night:
    """The night that is open.

    Raises:
        WarpsmithError: if none is.
    """
    if not layout.night_file.exists():
        opens = "make setup" if layout.profile == "cpu" else f"make setup PROFILE={layout.profile}"
        raise WarpsmithError(f"{layout.night_file} is missing: no night is open; `{opens}` opens one")
    return _read(layout.night_file)


def active_settings(layout: Layout) -> tuple[Profile, Night]:
    """The settings of the active night, as they were when it was opened, and the night.

    Raises:
        WarpsmithError: if no night is open, or its file is that of another version.
    """
    if not layout.night_file.exists():
        load_profile(layout)  # a profile that is not there is a better reason than its missing night
    night = active_night(layout)
    if not night.result:
        raise WarpsmithError(f"{layout.night_file} has no settings; `make nightly` opens the night anew")
    settings = {**joined(night.result, night.machine), "name": layout.profile, "night": night.name}
    return validated(Profile, settings, layout.night_file), night


def _read(path: Path) -> Night:
    try:
        return Night.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError):
        raise WarpsmithError(f"{path} does not describe a night; delete it and run `make nightly`") from None


def _hash_sources(layout: Layout, sources: Iterable[str]) -> dict[str, str]:
    """By source, the hash of its file or folder; what is drawn or lies on the hub has none."""
    try:
        places = {source: file_of(source, layout.root) for source in sources}
        return {source: path_md5(place) for source, place in places.items() if place is not None}
    except OSError as error:
        raise WarpsmithError(f"source {error.filename} cannot be read; correct `data.sources`") from None


def _check_date(name: str) -> None:
    try:
        date.fromisoformat(name)
    except ValueError:
        raise WarpsmithError(f"night {name!r} looks like a date and is none; write 2026-12-01") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Give the open night, or else the profile's own, the profile's settings with the flags on top."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.night", description=main.__doc__, add_help=False, allow_abbrev=False
    )
    parser.add_argument("--profile", default="cpu", help="a file of infra/profiles/")
    add_settings_help(parser, SECTIONS)
    options, flags = parser.parse_known_args(argv)
    try:
        layout = Layout(Path(), options.profile)
        profile, overrides = read_flags(layout, flags)
        name = active_night(layout).name if layout.night_file.exists() else profile.night
        open_night(layout, name, lambda: None, overrides)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
