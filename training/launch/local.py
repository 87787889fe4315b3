"""Starts the processes of a training run under torchrun, and sees that they end.

A run is `torchrun --nproc-per-node N -m MODULE ARGUMENTS`, on every node where there are several. If this
process is killed, even with SIGKILL, the kernel kills torchrun and its workers too, so that a restarted night
never meets a half-dead one. A worker's `WarpsmithError` comes back as the same sentence here. Where several
fail, what counts is the first that did not just lose another one; its stack is written to `failure.log`
beside the run's stderr.log.

Training runs are stopped by SIGTERM or SIGUSR1, to this process or to any worker: the workers save a snapshot
and end with the status `REQUEUE`, and `run_job` raises `Requeue`. torchrun itself knows no such status (its
own is 1 whatever a worker's was, and SIGUSR1 would kill it), so it is made to ignore both signals.

A worker that seems to hang says where: on `pkill -USR2 -f training.grpo` every worker writes the stacks of
its threads to the run's stderr.log and goes on.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from evaluation.errors import WarpsmithError, causes, says_full_disk
from evaluation.problem import Frozen
from training.launch.beats import beating
from training.launch.lock import exclusive
from training.launch.nodes import ALONE, Node
from training.launch.reports import (
    FAILED,
    REPORTS,
    STOP,
    STOPPED,
    Failure,
    read_failure,
    report,
    report_failure,
)
from training.launch.signals import SIGNALS, StopRequest, handling

#: Exit status that says "start me again, I go on": EX_TEMPFAIL, which batch systems know.
REQUEUE = 75

#: Environment variable by which a worker knows who started it.
_LAUNCHER = "WARPSMITH_LAUNCHER"
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


class ProcessLost(ProcessError):
    """A training process, or its whole node, ended without a word."""


class Requeue(WarpsmithError):
    """A run stopped because it was asked to, and goes on when it is started again; see `REQUEUE`."""


def torchrun_command(module: str, arguments: Sequence[str], processes: int, node: Node = ALONE) -> list[str]:
    """The command line that runs `python -m module arguments` in `processes` processes of this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", *node.torchrun_options()]
    deaf = ["--signals-to-handle", "SIGINT,SIGHUP,SIGQUIT"]  # by default SIGTERM too, with 30 s until SIGKILL
    worker = ["-m", "training.launch.worker", module, *arguments]
    return [*torchrun, *deaf, "--nproc-per-node", str(processes), *worker]


def run_processes(
    module: str,
    arguments: Sequence[str],
    processes: int,
    log: Path,
    *,
    stoppable: bool = False,
    node: Node = ALONE,
) -> None:
    """Run `module` under torchrun to its end; its stdout is ours, its stderr goes to the file `log`.

    `stoppable` says that the workers save what they did when they get a signal, and that it is theirs. Where
    several nodes run it together, `log` lies on the disk that they share, and `reports/` is made beside it.

    Raises:
        Requeue: the run was asked to stop, and did.
        WarpsmithError: a worker raised one.
        ProcessError: the run failed in any other way.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log = node.own(log)
    with _reports(log.parent, node) as reports, log.open("wb") as stderr, ExitStack() as stack:
        if stoppable:
            stack.enter_context(handling(lambda number, frame: (reports / STOP).touch()))
        process = subprocess.Popen(
            torchrun_command(module, arguments, processes, node),
            stderr=stderr,
            env=_environment(os.environ, reports, node),
            preexec_fn=_stoppable_child if stoppable else _child,
        )
        silent: list[str] = []
        try:
            with (
                nullcontext()
                if node.is_alone
                else beating(reports, lambda said: _lose(process, silent, said))
            ):
                status = process.wait()
        finally:
            _end(process)
        if silent:
            raise ProcessLost(silent[0])
        failure = read_failure(reports, node.own(log.parent / "failure.log"))
        if failure is not None and failure.sentence is not None:
            raise WarpsmithError(failure.sentence)
        if (reports / STOPPED).exists():
            raise Requeue((reports / STOPPED).read_text())
    if failure is not None and failure.lost:
        raise ProcessLost(_explain_failure(module, failure, log, status))
    if failure is not None or status:
        raise ProcessError(_explain_failure(module, failure, log, status))


def run_job(module: str, job: Frozen, out_dir: Path, processes: int, node: Node = ALONE) -> None:
    """Write `job` to `out_dir`/job.json and run `module --config job.json` under torchrun, stoppable.

    Every node has a job.json of its own; all must be the same (`training.launch.agreement`).
    Raises what `run_processes` does, and WarpsmithError if `out_dir` cannot be written or is in use.
    """
    config = node.own(out_dir / "job.json")
    with ExitStack() as stack:
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(node.own(out_dir / ".lock"), f"another run uses {out_dir}"))
            config.write_text(job.model_dump_json(indent=2))
        except OSError as error:
            raise WarpsmithError(
                f"{out_dir} cannot be written ({error.strerror}); choose another --out-dir"
            ) from None
        log = out_dir / "stderr.log"
        run_processes(module, ["--config", str(config)], processes, log, stoppable=True, node=node)


@contextmanager
def _reports(folder: Path, node: Node) -> Iterator[Path]:
    """An empty folder for this node's reports, which other nodes and a batch system see."""
    with tempfile.TemporaryDirectory() as temporary:
        shared = node.managed or not node.is_alone
        mine = (folder / "reports" if shared else Path(temporary)) / f"node-{node.number}"
        shutil.rmtree(mine, ignore_errors=True)
        mine.mkdir(parents=True)
        yield mine


def _child() -> None:
    """What torchrun is before it starts: dying with us, and deaf to a signal that is for its workers."""
    die_with_parent()
    signal.signal(_WHERE, signal.SIG_IGN)


def _stoppable_child() -> None:
    """The same, and deaf to the signals that ask workers to stop."""
    _child()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _lose(process: subprocess.Popen[bytes], silent: list[str], said: str) -> None:
    """End torchrun because another node is silent; its workers would wait for that one."""
    silent.append(said)
    process.kill()  # its workers die with it


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
    if os.getppid() != parent:  # it ended before the request
        os._exit(1)


def _orphaned() -> bool:
    """Whether torchrun or the launcher has ended already: a worker needs seconds to import and to ask for
    its own end with theirs. Torchrun is a worker's parent and the launcher's child."""
    launcher = os.environ.get(_LAUNCHER)
    if launcher is None or not sys.platform.startswith("linux"):
        return False
    state, _ = _state_and_parent(launcher)
    _, torchruns_parent = _state_and_parent(str(os.getppid()))
    return state in "ZX" or torchruns_parent != launcher


def _state_and_parent(pid: str) -> tuple[str, str]:
    """A process's state as the kernel writes it, and its parent; X (dead) and nobody if it is gone."""
    try:
        _, _, fields = Path("/proc", pid, "stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return "X", ""
    state, parent, *_ = fields.split()
    return state, parent


def run_worker(main: Callable[[], None]) -> None:
    """Entry point of a process under torchrun: dies with its parent, reports what the user can put right."""
    die_with_parent()
    if _orphaned():
        os._exit(1)
    faulthandler.register(_WHERE)
    try:
        main()
    except Requeue as request:
        report(STOPPED, str(request))
        sys.exit(REQUEUE)
    except Exception as error:
        explained = _explain(error)
        report_failure(error, explained)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(2)


def run_stoppable_worker(main: Callable[[StopRequest], None]) -> None:
    """`run_worker` for a run that can be stopped: `main` asks its argument once per step whether to."""
    folder = os.environ.get(REPORTS)
    reports = Path(folder) if folder else None
    request = StopRequest(reports and reports / STOP, reports and reports / FAILED)
    with handling(request.handle):
        run_worker(lambda: main(request))


def _explain_failure(module: str, failure: Failure | None, log: Path, status: int) -> str:
    """What a person is told of a failure that they cannot put right by a sentence of ours."""
    if failure is None:
        return f"{module} failed with status {status}; the end of {log}:\n{_tail(log)}"
    if failure.lost:
        return (
            f"a process of {module} ended without a word, as one does that the kernel kills for want of "
            f"memory; the end of {log}:\n{_tail(log)}"
        )
    end = "\n".join(failure.stack.splitlines()[-_LOG_TAIL_LINES:])
    return f"{module} failed in process {failure.rank}; more is in {log}:\n{end}"


def _explain(error: BaseException) -> WarpsmithError | None:
    """The error that a user can act on in a chain of exceptions, if there is one."""
    for link in causes(error):
        if isinstance(link, WarpsmithError):
            return link
        if says_full_disk(link):
            file = getattr(link, "filename", None)
            where = f" writing {file}" if file else ""
            return WarpsmithError(f"the disk is full{where}; free some space and run again")
    return None


def _environment(inherited: Mapping[str, str], reports: Path, node: Node) -> dict[str, str]:
    """One thread per process (more on two busy cores are many times slower), and how to report back."""
    given = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": _QUIET, "TOKENIZERS_PARALLELISM": "false"}
    us = {REPORTS: str(reports.absolute()), _LAUNCHER: str(os.getpid())}
    return {**inherited, **_NCCL, **given, **node.environment(), **us}


def _tail(log: Path) -> str:
    """The last lines that workers wrote, without torchrun's own summary of which of them died."""
    workers, *_ = log.read_text(errors="replace").partition("torch/distributed/elastic/multiprocessing")
    return "\n".join(workers.splitlines()[-_LOG_TAIL_LINES:])
