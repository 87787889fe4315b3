"""Runs a flow in this process: `python -m flows.run nightly --profile cpu --night 2026-12-01`.

The server starts while Prefect and the rest are imported, which saves most of its start-up time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError
from flows.server import prefect_api
from tasks import dvc_stage, tracking
from tasks.disk import explain_full_disk
from tasks.layout import Layout
from tasks.night import resolve_name
from tasks.profile import load_profile


def run_nightly(profile: str, night: str | None) -> None:
    """Check the parameters, which takes no server, then run the flow `nightly` to its end.

    Raises:
        WarpsmithError: for what the user can put right.
    """
    load_profile(Layout(Path(), profile))
    name = resolve_name(night) if night else None
    os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"  # the tasks print; errors are raised to us
    with prefect_api() as api:
        from prefect.settings import PREFECT_API_URL, temporary_settings

        from flows.nightly import nightly

        dvc_stage.preload()
        tracking.preload()
        api.wait()
        with temporary_settings({PREFECT_API_URL: api.url}):
            nightly(profile=profile, night=name)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error message says what to do."""
    parser = argparse.ArgumentParser(prog="python -m flows.run", description=__doc__.splitlines()[0])
    parser.add_argument("flow", choices=["nightly"])
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--night", help="a date or another name; `today`; by default the profile's own night")
    options = parser.parse_args(argv)
    try:
        run_nightly(options.profile, options.night)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; `make nightly` goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        full = explain_full_disk(error, Path())
        if full is None:
            raise
        print(f"error: {full}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
