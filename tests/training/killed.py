"""Runs a training job, kills or stops it at some step, and waits until none of its processes is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from evaluation.problem import Frozen

_TIMEOUT_S = 180.0
_SCRIPT = """
import sys
from pathlib import Path
from training.settings import jobs
from training.launch.local import REQUEUE, Requeue, run_job

module, kind, job, processes = sys.argv[1:]
job = getattr(jobs, kind).model_validate_json(Path(job).read_text())
try:
    run_job(module, job, job.out_dir, int(processes))
except Requeue as request:
    print(request)
    sys.exit(REQUEUE)
"""


def steps_done(out_dir: Path) -> int:
    """The last complete row of metrics.jsonl."""
    path = out_dir / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def run_and_kill(module: str, job: Frozen, out_dir: Path, processes: int, step: int) -> None:
    """Start the job in a process of its own and kill that process once `step` steps are done."""
    process = _start_and_wait(module, job, out_dir, processes, step)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait(lambda: not _processes(str(out_dir / "job.json")))


def run_and_stop(
    module: str, job: Frozen, out_dir: Path, processes: int, step: int, number: int, *, worker: bool
) -> tuple[int, str]:
    """Signal the process, or one of its workers, once `step` steps are done; its status and what it said."""
    process = _start_and_wait(module, job, out_dir, processes, step)
    target = process.pid
    if worker:
        workers = [
            pid for pid in _processes(str(out_dir / "job.json")) if "torch.distributed" not in _line(pid)
        ]
        target = max(workers)
    os.kill(target, number)
    said = process.communicate(timeout=_TIMEOUT_S)[0]
    assert not _processes(str(out_dir / "job.json"))
    return process.returncode, said


def _start_and_wait(
    module: str, job: Frozen, out_dir: Path, processes: int, step: int
) -> subprocess.Popen[str]:
    """The job in a process of its own, `step` steps done."""
    file = out_dir.parent / f"{out_dir.name}.json"
    file.write_text(job.model_dump_json())
    command = [sys.executable, "-c", _SCRIPT, module, type(job).__name__, str(file), str(processes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        _wait(lambda: steps_done(out_dir) >= step or process.poll() is not None)
        assert process.poll() is None, "the run ended before it could be stopped"
    except BaseException:
        process.kill()
        raise
    return process


def _line(pid: int) -> str:
    return Path("/proc", str(pid), "cmdline").read_bytes().decode()


def _processes(argument: str) -> list[int]:
    """Processes with `argument` on their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and argument in (folder / "cmdline").read_bytes().decode().split("\0"):
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def _wait(condition) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
