"""What each stage depends on, read from `dvc.yaml`, so that it is written down once.

Only the few forms that our own `dvc.yaml` uses are understood; DVC itself is not needed for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from evaluation.errors import WarpsmithError
from evaluation.marks import Affects
from tasks.disk.hashing import path_md5, settings_hash
from tasks.disk.layout import Layout, Stage
from tasks.night import Night
from tasks.profile import Profile

#: How dvc.yaml names the settings of a section that the result depends on.
RESULT = "result."


@dataclass(frozen=True)
class Dependencies:
    """What makes a stage out of date when it changes."""

    paths: tuple[str, ...]
    """Files and folders, data and code, relative to the checkout."""
    sections: tuple[str, ...]
    """Sections of the settings; DVC watches the part of them that the result depends on."""
    night: tuple[str, ...]
    """Parameters of the night, its settings apart."""


def stage_entries(layout: Layout) -> dict[str, dict[str, Any]]:
    """What dvc.yaml says of every stage, for this profile."""
    text = (layout.root / "dvc.yaml").read_text(encoding="utf-8").replace("${profile}", layout.profile)
    stages: dict[str, dict[str, Any]] = yaml.safe_load(text)["stages"]
    return stages


def dependencies(layout: Layout, stage: Stage) -> Dependencies:
    """The dependencies of `stage` for this profile."""
    entry = stage_entries(layout)[stage]
    params = [key for group in entry.get("params", ()) for keys in group.values() for key in keys]
    return Dependencies(
        paths=tuple(entry.get("deps", ())),
        sections=tuple(key.removeprefix(RESULT) for key in params if key.startswith(RESULT)),
        night=tuple(key for key in params if not key.startswith(RESULT)),
    )


def hash_inputs(layout: Layout, paths: tuple[str, ...]) -> dict[str, str]:
    """DVC's md5 of every path.

    Raises:
        WarpsmithError: if one is missing, which means that an earlier stage has not run.
    """
    hashes = {}
    for path in paths:
        if not (layout.root / path).exists():
            raise WarpsmithError(f"{path} is missing; `make nightly` runs the stage that writes it")
        hashes[path] = path_md5(layout.root / path)
    return hashes


def config_hash(profile: Profile, night: Night, needs: Dependencies) -> str:
    """Hash of what the result of a stage depends on among the settings and the night's parameters."""
    return settings_hash(
        {
            "settings": profile.sections(Affects.RESULT, needs.sections),
            "night": night.model_dump(mode="json", include=set(needs.night)),
        }
    )
