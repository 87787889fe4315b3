"""Starts the processes of a training run under torchrun, and sees that they end.

A run is `torchrun --nproc-per-node N -m MODULE ARGUMENTS`. If this process is killed, even with SIGKILL, the
kernel kills torchrun and its workers too, so that a restarted night never meets a half-dead one. A worker's
`WarpsmithError` comes back as the same sentence here.

Training runs are stopped by SIGTERM or SIGUSR1, to this process or to any worker: the workers save a snapshot
and end with the status `REQUEUE`, and `run_job` raises `Requeue`. torchrun itself knows no such status (its
own is 1 whatever a worker's was, and SIGUSR1 would kill it), so it is made to ignore both signals.

A worker that seems to hang says where: on `pkill -USR2 -f training.grpo` every worker writes the stacks of
its threads to the run's stderr.log and goes on.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from training.signals import SIGNALS, StopRequest, handling

#: Exit status that says "start me again, I go on": EX_TEMPFAIL, which batch systems know.
REQUEUE = 75

#: Environment variables by which `run_processes` tells its workers where to report, and who they are.
_REPORTS, _LAUNCHER = "WARPSMITH_REPORTS", "WARPSMITH_LAUNCHER"
#: Files in the folder of reports: why a worker failed or stopped, that one failed, that all are to stop.
_ERROR, _STOPPED, _FAILED, _STOP = "error", "stopped", "failed", "stop"
#: Has a worker write the stacks of all its threads to its stderr.
_WHERE = signal.SIGUSR2
_FAREWELL_S = 10.0
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_LINES = 30
#: Megatron warns on every import that it does without these GPU libraries, which is what we want on a CPU.
_QUIET = "ignore:Transformer Engine and Apex,ignore:Apex is not installed"
#: As SGLang's servers have it, or the group that hands them new weights fails and hangs; NVLS goes with it.
_NCCL = {"NCCL_CUMEM_ENABLE": "0", "NCCL_NVLS_ENABLE": "0"}


class ProcessError(RuntimeError):
    """A training process failed for a reason that is not the user's; the end of its log is in the message."""


class Requeue(WarpsmithError):
    """A run stopped because it was asked to, and goes on when it is started again; see `REQUEUE`."""


def torchrun_command(module: str, arguments: Sequence[str], processes: int) -> list[str]:
    """The command line that runs `python -m module arguments` in `processes` processes of this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    deaf = ["--signals-to-handle", "SIGINT,SIGHUP,SIGQUIT"]  # by default SIGTERM too, with 30 s until SIGKILL
    return [*torchrun, *deaf, "--nproc-per-node", str(processes), "-m", module, *arguments]


def run_processes(
    module: str, arguments: Sequence[str], processes: int, log: Path, *, stoppable: bool = False
) -> None:
    """Run `module` under torchrun to its end; its stdout is ours, its stderr goes to the file `log`.

    `stoppable` says that the workers save what they did when they get a signal, and that it is theirs.

    Raises:
        Requeue: the run was asked to stop, and did.
        WarpsmithError: a worker raised one.
        ProcessError: the run failed in any other way.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as stderr, ExitStack() as stack:
        reports = Path(folder)
        if stoppable:
            stack.enter_context(handling(lambda number, frame: (reports / _STOP).touch()))
        process = subprocess.Popen(
            torchrun_command(module, arguments, processes),
            stderr=stderr,
            env=_environment(os.environ, reports),
            preexec_fn=_stoppable_child if stoppable else _child,
        )
        try:
            status = process.wait()
        finally:
            _end(process)
        for name, kind in ((_ERROR, WarpsmithError), (_STOPPED, Requeue)):
            if (reports / name).exists():
                raise kind((reports / name).read_text())
    if status:
        raise ProcessError(f"{module} failed with status {status}; the end of {log}:\n{_tail(log)}")


def run_job(module: str, job: Frozen, out_dir: Path, processes: int) -> None:
    """Write `job` to `out_dir`/job.json and run `module --config job.json` under torchrun, stoppable.

    Raises what `run_processes` does.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    config = out_dir / "job.json"
    config.write_text(job.model_dump_json(indent=2))
    run_processes(module, ["--config", str(config)], processes, out_dir / "stderr.log", stoppable=True)


def _child() -> None:
    """What torchrun is before it starts: dying with us, and deaf to a signal that is for its workers."""
    die_with_parent()
    signal.signal(_WHERE, signal.SIG_IGN)


def _stoppable_child() -> None:
    """The same, and deaf to the signals that ask workers to stop."""
    _child()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End torchrun, which ends its workers, if it still runs."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_FAREWELL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    faulthandler.register(_WHERE)
    try:
        main()
    except Requeue as request:
        _report(_STOPPED, str(request))
        sys.exit(REQUEUE)
    except Exception as error:
        _report(_FAILED, "")
        explained = _explain(error)
        if explained is None:
            raise
        _report(_ERROR, str(explained))
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(2)


def run_stoppable_worker(main: Callable[[StopRequest], None]) -> None:
    """`run_worker` for a run that can be stopped: `main` asks its argument once per step whether to."""
    folder = os.environ.get(_REPORTS)
    reports = Path(folder) if folder else None
    request = StopRequest(reports and reports / _STOP, reports and reports / _FAILED)
    with handling(request.handle):
        run_worker(lambda: main(request))


def _report(name: str, text: str) -> None:
    """Tell the launcher something; there is none if torchrun was called by hand."""
    folder = os.environ.get(_REPORTS)
    if folder:
        Path(folder, name).write_text(text)


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


def _environment(inherited: Mapping[str, str], reports: Path) -> dict[str, str]:
    """One thread per process (more on two busy cores are many times slower), and how to report back."""
    given = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": _QUIET, "TOKENIZERS_PARALLELISM": "false"}
    return {**inherited, **_NCCL, **given, _REPORTS: str(reports), _LAUNCHER: str(os.getpid())}


def _tail(log: Path) -> str:
    """The last lines that workers wrote, without torchrun's own summary of which of them died."""
    workers, *_ = log.read_text(errors="replace").partition("torch/distributed/elastic/multiprocessing")
    return "\n".join(workers.splitlines()[-_LOG_TAIL_LINES:])
