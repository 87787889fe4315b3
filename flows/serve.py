"""`make serve`: the Prefect server, the MLflow UI and a worker that runs the deployments, until Ctrl-C.

Ports are 4200 and 5000; the environment variables PREFECT_PORT and MLFLOW_PORT choose others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from evaluation.errors import WarpsmithError
from flows.deployments import continue_lost_runs, deploy
from flows.server import PrefectApi, start_server
from tasks.disk.files import write_atomically
from tasks.report.summary import SERVE_FILE
from tasks.tracking.client import make_database, tracking_uri
from training.launch.ports import is_free

POOL = "warpsmith"
#: Runs its arguments; ends the whole process group when they end, or when the pipe at its input closes, which
#: happens however we end. SIGTERM is for the part: the shell only waits for it.
_GROUP = 'trap : TERM; exec 3<&0; (read -r _ <&3; kill -9 0) & "$@" </dev/null; kill -9 0'
#: Nights share the machine, and a profile has one folder: what is launched meanwhile waits in the queue. This
#: limit ends with the worker; one of the pool would count runs that were killed, and block it for ever.
_ONE_AT_A_TIME = ("--type", "process", "--limit", "1")
_STOP_S = 10.0
#: A part that ends more often than this, in this time, is beyond repair.
_STARTS, _SOON_S = 4, 120.0

Process = subprocess.Popen[bytes]


def serve(prefect_port: int, mlflow_port: int) -> None:
    """Start everything, deploy the flows, and start again what ends, until the user stops it.

    Raises:
        WarpsmithError: if a port is in use, or a part does not start or ends again and again.
    """
    for name, port in (("PREFECT_PORT", prefect_port), ("MLFLOW_PORT", mlflow_port)):
        if not is_free(port):
            raise WarpsmithError(f"port {port} is in use; stop what uses it or set {name} to another")
    api = f"http://127.0.0.1:{prefect_port}/api"
    os.environ.update(PREFECT_API_URL=api, PYTHONPATH=os.getcwd(), PATH=_path_with_venv())
    starts: dict[str, Callable[[], Process]] = {
        "MLflow UI": lambda: _start_mlflow(mlflow_port),
        "Prefect server": lambda: _start_prefect(prefect_port, api),
        "worker": _start_worker,
    }
    with _running() as parts:
        for name in ("MLflow UI", "Prefect server"):
            parts[name] = starts[name]()
        _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        deploy(lambda: _prefect("deploy", "--all"))
        parts["worker"] = starts["worker"]()
        pages = {"prefect_api_url": api, "mlflow_url": f"http://127.0.0.1:{mlflow_port}"}
        write_atomically(SERVE_FILE, json.dumps(pages))
        print(_welcome(prefect_port, mlflow_port), flush=True)
        _keep_up(parts, starts)


def _start_prefect(port: int, api: str) -> Process:
    server = start_server(port)
    PrefectApi(api, server).wait()
    return server


def _start_worker() -> Process:
    for name in continue_lost_runs(POOL):
        print(f"the run {name} goes on: the worker that ran it had ended", flush=True)
    return _start("prefect", "worker", "start", "--pool", POOL, *_ONE_AT_A_TIME)


def _start_mlflow(port: int) -> Process:
    make_database(Path())
    uri = tracking_uri(Path())
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # seven processes for nothing
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    return _start("mlflow", "server", "--backend-store-uri", uri, *where, log="mlflow.log")


def _start(module: str, *arguments: str, log: str | None = None) -> Process:
    """A part and its children in a process group of their own, which ends with the part and with us."""
    command = ["sh", "-c", _GROUP, "sh", sys.executable, "-m", module, *arguments]
    with Path("artifacts", log).open("wb") if log else nullcontext() as output:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, process_group=0)


def _prefect(*arguments: str) -> None:
    """Run a Prefect command against the server.

    Raises:
        WarpsmithError: with the last line of what it said, if it fails.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise WarpsmithError(f"`prefect {' '.join(arguments)}` failed: {said[-1]}")


@contextmanager
def _running() -> Iterator[dict[str, Process]]:
    """The parts that are up; all of them are stopped at the end, the last one first."""
    Path("artifacts").mkdir(exist_ok=True)
    parts: dict[str, Process] = {}
    try:
        yield parts
    finally:
        SERVE_FILE.unlink(missing_ok=True)
        for part in reversed(parts.values()):
            _stop(part)


def _stop(part: Process) -> None:
    """End a part and its children: politely, then for certain (a worker may ignore one SIGTERM)."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # not a group leader, or gone
            os.killpg(part.pid, signal_number)
        part.send_signal(signal_number)
        with suppress(subprocess.TimeoutExpired):
            part.wait(_STOP_S)


def _keep_up(parts: dict[str, Process], starts: Mapping[str, Callable[[], Process]]) -> None:
    """Start what ends again. Nothing beside a night may end it, so only its worker's own end does.

    Raises:
        WarpsmithError: if a part ends as often as it is started.
    """
    ended: dict[str, list[float]] = {name: [] for name in starts}
    while True:
        for name, part in parts.items():
            if part.poll() is None:
                continue
            ended[name] = [at for at in ended[name] if at > time.monotonic() - _SOON_S] + [time.monotonic()]
            how = f"the {name} ended with status {part.returncode}"
            if len(ended[name]) > _STARTS:
                raise WarpsmithError(
                    f"{how} for the {len(ended[name])}th time; see its output and artifacts/"
                )
            print(f"{how}; it is started again", flush=True)
            _stop(part)
            parts[name] = starts[name]()
        time.sleep(0.5)


def _path_with_venv() -> str:
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))


def _welcome(prefect_port: int, mlflow_port: int) -> str:
    api = "" if prefect_port == 4200 else f"PREFECT_API_URL=http://127.0.0.1:{prefect_port}/api "
    return f"""
  Prefect   http://127.0.0.1:{prefect_port}
  MLflow    http://127.0.0.1:{mlflow_port} (runs: an experiment, then "Model training" at its top left)

In another terminal, in this folder:
  {api}.venv/bin/prefect deployment run nightly/cpu
  {api}.venv/bin/prefect deployment run evaluate/cpu
Runs wait for each other.
Ctrl-C stops all of it; a run that it stops goes on at the next `make serve`."""


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] = ()) -> int:
    """Command line; returns the exit status: 2 where an error message says what to do."""
    argparse.ArgumentParser(prog="python -m flows.serve", description=__doc__).parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        serve(_port("PREFECT_PORT", 4200), _port("MLFLOW_PORT", 5000))
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped")
    return 0


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise WarpsmithError(f"{variable} is {text!r}; it must be a port, 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
