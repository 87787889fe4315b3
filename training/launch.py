"""Starts the processes of a training run under torchrun, and sees that they end.

A run is `torchrun --nproc-per-node N -m MODULE ARGUMENTS`. If this process is killed, even with SIGKILL, the
kernel kills torchrun and its workers too, so that a restarted night never meets a half-dead one. A worker's
`WarpsmithError` comes back as the same sentence here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen

#: Environment variables by which `run_processes` tells its workers where to report, and who they are.
_ERROR_FILE, _LAUNCHER = "WARPSMITH_ERROR_FILE", "WARPSMITH_LAUNCHER"
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_LINES = 30
#: Megatron warns on every import that it does without these GPU libraries, which is what we want on a CPU.
_QUIET = "ignore:Transformer Engine and Apex,ignore:Apex is not installed"


class ProcessError(RuntimeError):
    """A training process failed for a reason that is not the user's; the end of its log is in the message."""


def torchrun_command(module: str, arguments: Sequence[str], processes: int) -> list[str]:
    """The command line that runs `python -m module arguments` in `processes` processes of this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    return [*torchrun, "--nproc-per-node", str(processes), "-m", module, *arguments]


def run_processes(module: str, arguments: Sequence[str], processes: int, log: Path) -> None:
    """Run `module` under torchrun to its end; its stdout is ours, its stderr goes to the file `log`.

    Raises:
        WarpsmithError: a worker raised one.
        ProcessError: the run failed in any other way.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as stderr:
        error_file = Path(folder) / "error.txt"
        process = subprocess.Popen(
            torchrun_command(module, arguments, processes),
            stderr=stderr,
            env=_environment(os.environ, error_file),
            preexec_fn=die_with_parent,
        )
        try:
            status = process.wait()
        finally:
            process.terminate()
            process.wait()
        if error_file.exists():
            raise WarpsmithError(error_file.read_text())
    if status:
        raise ProcessError(f"{module} failed with status {status}; the end of {log}:\n{_tail(log)}")


def run_job(module: str, job: Frozen, out_dir: Path, processes: int) -> None:
    """Write `job` to `out_dir`/job.json and run `module --config job.json` under torchrun."""
    out_dir.mkdir(parents=True, exist_ok=True)
    config = out_dir / "job.json"
    config.write_text(job.model_dump_json(indent=2))
    run_processes(module, ["--config", str(config)], processes, out_dir / "stderr.log")


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends; does nothing on other systems."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or not _launcher_alive():  # it ended before the request
        os._exit(1)


def _launcher_alive() -> bool:
    """Whether the process that started the run is still there; a worker needs seconds to import and ask."""
    launcher = os.environ.get(_LAUNCHER)
    return launcher is None or Path("/proc", launcher).exists()


def run_worker(main: Callable[[], None]) -> None:
    """Entry point of a process under torchrun: dies with its parent, reports what the user can put right."""
    die_with_parent()
    try:
        main()
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            raise
        path = os.environ.get(_ERROR_FILE)
        if path:
            Path(path).write_text(str(explained))
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(2)


def _explain(error: BaseException) -> WarpsmithError | None:
    """The error that a user can act on in a chain of exceptions, if there is one."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, WarpsmithError):
            return link
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" writing {link.filename}" if link.filename else ""
            return WarpsmithError(f"the disk is full{where}; free some space and run again")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return None


def _environment(inherited: Mapping[str, str], error_file: Path) -> dict[str, str]:
    """One thread per process (more on two busy cores are many times slower), and how to report back."""
    given = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": _QUIET, "TOKENIZERS_PARALLELISM": "false"}
    return {**inherited, **given, _ERROR_FILE: str(error_file), _LAUNCHER: str(os.getpid())}


def _tail(log: Path) -> str:
    """The last lines that workers wrote, without torchrun's own summary of which of them died."""
    workers, *_ = log.read_text(errors="replace").partition("torch/distributed/elastic/multiprocessing")
    return "\n".join(workers.splitlines()[-_LOG_TAIL_LINES:])
