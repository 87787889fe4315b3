"""A Prefect API for one flow run: the one that is up already, or one of our own that ends with us.

Prefect would start a temporary server by itself, but that one outlives a killed parent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.errors import WarpsmithError
from tasks.report.summary import SERVE_FILE
from tasks.stages.overhear import CONSOLE_LEVEL
from training.launch.local import die_with_parent
from training.launch.ports import free_port

_START_S = 180.0


class PrefectApi:
    """The API that a flow run reports to; while it starts, for seconds, the caller can import Prefect."""

    def __init__(self, url: str, server: subprocess.Popen[bytes] | None) -> None:
        self.url = url
        self._server = server

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            WarpsmithError: if it does not start; its log says why.
        """
        deadline = time.monotonic() + _START_S
        while not answers(f"{self.url}/health"):
            ended = self._server is None or self._server.poll() is not None
            if ended or time.monotonic() > deadline:
                raise WarpsmithError(f"the Prefect server at {self.url} does not answer{_last_words()}")
            time.sleep(0.1)


@contextmanager
def prefect_api(*, own: bool = False) -> Iterator[PrefectApi]:
    """`PREFECT_API_URL`, else the server of `make serve`, else a server for as long as the block runs.

    With `own` it is the last in any case: the others went away.
    """
    given = os.environ.get("PREFECT_API_URL") or _served()
    if given and not own:
        yield PrefectApi(given, None)
        return
    port = free_port()
    server = start_server(port)
    try:
        yield PrefectApi(f"http://127.0.0.1:{port}/api", server)
    finally:
        server.kill()  # it holds nothing but records of runs that are written already
        server.wait()


def start_server(port: int) -> subprocess.Popen[bytes]:
    """A Prefect server on localhost that dies with this process; its output goes to a log file.

    It is in a process group of its own: a signal to ours, as batch systems and terminals send it, must not
    take the API from a run that is about to report how it stopped.
    """
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != CONSOLE_LEVEL}
    _log_file().parent.mkdir(parents=True, exist_ok=True)
    with _log_file().open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, process_group=0, preexec_fn=die_with_parent
        )


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _served() -> str | None:
    """The address of `make serve`, if it is up."""
    try:
        url = str(json.loads(SERVE_FILE.read_text(encoding="utf-8"))["prefect_api_url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if answers(f"{url}/health") else None


def _last_words() -> str:
    """The end of the server's log, as the end of a sentence."""
    lines = _log_file().read_text(errors="replace").split("\n") if _log_file().exists() else []
    said = [line.strip() for line in lines if "Error" in line]
    return f": {said[-1][:200]} (see {_log_file()})" if said else f"; see {_log_file()}"


def _log_file() -> Path:
    return Path("artifacts", "prefect", "server.log")
