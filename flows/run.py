"""Runs a flow in this process: `python -m flows.run nightly --profile cpu --night 2026-12-01 --grpo-steps 5`.

Any setting of the profile is a flag too; `--help` lists them, `training.arguments.parse` has the rules. The
server starts while Prefect and the rest are imported, which saves most of its start-up time.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from evaluation.errors import WarpsmithError
from flows.plan import plan, plan_text
from flows.server import answers, prefect_api
from tasks.disk.full import explain_full_disk
from tasks.disk.layout import Layout
from tasks.night import resolve_name
from tasks.profile import SECTIONS, read_flags
from tasks.stages import dvc_stage
from tasks.stages.overhear import CONSOLE_LEVEL
from tasks.tracking import client as mlflow_client
from training.arguments.help import add_settings_help
from training.launch.local import REQUEUE, Requeue
from training.launch.signals import handling
from training.preflight.machine import check_machine


def run_nightly(profile: str, night: str | None, flags: Sequence[str] = ()) -> None:
    """Check the parameters, which takes no server, then run the flow `nightly` to its end.

    Raises:
        WarpsmithError: for what the user can put right.
    """
    settings, _ = read_flags(Layout(Path(), profile), flags)
    check_machine(settings.training, settings.evaluation, settings.launcher)
    name = resolve_name(night) if night else None
    os.environ[CONSOLE_LEVEL] = "CRITICAL"  # the tasks print; errors are raised to us
    try:
        _with_server(profile, name, flags)
    except _ServerGone:
        print("the Prefect server went away; the night goes on with one of its own", flush=True)
        _with_server(profile, name, flags, own=True)


class _ServerGone(WarpsmithError):
    """Prefect's server went away while the night ran."""


def _with_server(profile: str, night: str | None, flags: Sequence[str], *, own: bool = False) -> None:
    with prefect_api(own=own) as api:
        os.environ["PREFECT_API_URL"] = api.url  # for the thread that sends logs
        from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

        from flows.nightly import nightly

        dvc_stage.preload()
        mlflow_client.preload()
        api.wait()
        try:
            # That thread stays with the first server, so what runs with a second one has no log.
            with temporary_settings({PREFECT_API_URL: api.url, PREFECT_LOGGING_TO_API_ENABLED: not own}):
                nightly(profile=profile, night=night, arguments=tuple(flags))
        except WarpsmithError:
            raise
        except Exception as error:
            if answers(f"{api.url}/health"):
                raise
            raise _ServerGone(f"the Prefect server at {api.url} went away; run again to go on") from error
        finally:
            for handler in logging.getLogger("prefect.flow_runs").handlers:
                handler.flush()  # before a server of our own ends


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGUSR1 between stages; a stage that runs gets them itself."""
    raise Requeue(f"the night was asked to stop by {signal.Signals(number).name}; start it again to go on")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error says what to do, 75 to start it again."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.run", description=__doc__.splitlines()[0], add_help=False, allow_abbrev=False
    )
    parser.add_argument("flow", choices=["nightly"])
    parser.add_argument("--profile", default="cpu", help="a file of infra/profiles/")
    parser.add_argument("--night", help="a date or another name; `today`; by default the profile's own night")
    parser.add_argument(
        "--plan", action="store_true", help="say what would run, why, and what it costs; run nothing"
    )
    add_settings_help(parser, SECTIONS)
    options, flags = parser.parse_known_args(argv)
    try:
        if options.plan:
            layout = Layout(Path(), options.profile)
            print(plan_text(layout, plan(layout, options.night, flags)))
            return 0
        with handling(_stop):
            run_nightly(options.profile, options.night, flags)
    except Requeue as request:
        print(f"stopped: {request}", file=sys.stderr)
        return REQUEUE
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
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
