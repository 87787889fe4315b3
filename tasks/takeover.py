"""Takes over a night that was trained elsewhere: `python -m tasks.takeover NIGHT --profile cpu`.

It needs a clone at the same commit, DVC's remote, and MLflow (MLFLOW_TRACKING_URI). The outputs of every
finished stage come from the remote, so `make nightly` goes on after the last one and trains nothing again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.files import write_atomically
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import code_revision
from tasks.models.kept import bring_model
from tasks.night import Night, active_night, resolve_name
from tasks.profile import load_profile
from tasks.stages.dvc_stage import bring, lock_file, open_workspace
from tasks.tracking.runs import CODE_REVISION, Tracking
from training.arguments.parse import changes


def take_over(layout: Layout, name: str) -> tuple[Night, list[Stage]]:
    """Make a night, as MLflow and DVC's remote have it, the active one; returns it and its finished stages.

    Raises:
        WarpsmithError: if MLflow has no such night, or the remote lacks a part of it.
    """
    load_profile(layout)
    name = resolve_name(name)
    record = Tracking(layout).recorded_night(name, ("night.yaml", "dvc.lock"))
    if record is None:
        raise WarpsmithError(
            f"MLflow has no record of night {name} of profile {layout.profile}; is it yours?"
        )
    if record[CODE_REVISION] not in ("", code_revision(layout.root)):
        print(
            f"night {name} was trained at {record[CODE_REVISION]}; here stages may be out of date", flush=True
        )
    for path in (layout.night_record(name), layout.night_file):
        write_atomically(path, record["night.yaml"])
    open_workspace(layout)
    write_atomically(lock_file(layout), record["dvc.lock"])
    done = [stage for stage in Stage if stage in yaml.safe_load(record["dvc.lock"])["stages"]]
    bring(layout, *done)
    night = active_night(layout)
    if night.champion is not None:
        bring_model(layout, night.champion.md5)
    return night, done


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error message says what to do."""
    parser = argparse.ArgumentParser(prog="python -m tasks.takeover", description=__doc__.splitlines()[0])
    parser.add_argument("night", help="the night's name in MLflow")
    parser.add_argument("--profile", default="cpu", help="a file of infra/profiles/")
    options = parser.parse_args(argv)
    try:
        night, done = take_over(Layout(Path(), options.profile), options.night)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"night {night.name} has {', '.join(done)}")
    flags = changes(night.overrides)
    print(
        f"`make nightly PROFILE={options.profile} NIGHT={night.name}` goes on with it"
        + (f"; its flags set {flags}: give the same in ARGS" if flags else "")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
