"""A Slurm cluster of our own on this machine: a controller and two node daemons, of Debian's packages.

No munge and no root: daemons trust each other (auth/none), listen at free ports and keep all they write in
one folder. `SLURM_CONF` leads Slurm's commands there.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.launch.ports import free_port

SBIN = "/usr/sbin"
PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel", "srun", "slurmctld", "slurmd")
NODES = ("n1", "n2")
_START_S = 60.0

_CONFIGURATION = """\
ClusterName=warpsmith
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdTimeout=10
KillWait=20
MinJobAge=86400
MessageTimeout=60
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no cluster here, if so."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    return f"needs Slurm's {', '.join(absent)}: apt-get install slurm-wlm" if absent else None


class Cluster:
    """The daemons, and the environment in which Slurm's commands speak to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        host, user = socket.gethostname().split(".")[0], getpass.getuser()
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=1 State=UNKNOWN"
            for name in NODES
        )
        text = _CONFIGURATION.format(host=host, port=free_port(), user=user, folder=folder, nodes=nodes)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state").mkdir()
        (folder / "slurm.conf").write_text(text)
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
        self._controller = self._start("slurmctld", "-D")
        self._daemons = {name: self._start("slurmd", "-D", "-N", name) for name in NODES}
        self._wait_until_idle()

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: int) -> str:
        """Of a job."""
        return re.search(r"JobState=(\S+)", self.ask("scontrol", "show", "job", "-o", str(job)))[1]

    def kill_node(self, name: str) -> None:
        """As when a machine loses its power: the daemon and all that it started are gone at once."""
        ours = self._of_node(name)
        self._daemons[name].kill()
        self._daemons[name].wait()
        for pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_node(self, name: str) -> None:
        """The machine is up again."""
        self._daemons[name] = self._start("slurmd", "-D", "-N", name)

    def start_pending(self, job: int) -> None:
        """Do not wait the two minutes that Slurm leaves between two starts of a job; its credentials are told
        apart by seconds."""
        self.ask("scontrol", "update", f"JobId={job}", "StartTime=now+3")

    def stop(self) -> None:
        """End all jobs and the daemons."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.ask("scancel", "--user", getpass.getuser())
        for name in NODES:
            self.kill_node(name)
        self._controller.terminate()
        self._controller.wait()

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.out").open("ab") as log:
            return subprocess.Popen(
                [program, *arguments, "-f", str(self.folder / "slurm.conf")],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def _wait_until_idle(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with suppress(AssertionError, subprocess.TimeoutExpired):
                if self.ask("sinfo", "--noheader", "--format", "%T %D") == f"idle {len(NODES)}":
                    return
            time.sleep(0.5)
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("slurm*.log"))
        raise AssertionError(f"Slurm did not start:\n{logs}")

    def _of_node(self, name: str) -> list[int]:
        """Processes that a node runs: tasks say so in their environment, and their parents are Slurm's."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "environ").read_bytes().split(b"\0")
                if f"SLURMD_NODENAME={name}".encode() in words and (
                    f"SLURM_CONF={self.folder}/slurm.conf".encode() in words
                ):
                    found |= {int(folder.name), *_step_daemon(int(folder.name))}
        return sorted(found)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster while the block runs."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.stop()


def _step_daemon(pid: int) -> list[int]:
    """The slurmstepd above a task, if it is its parent."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    parent = int(fields[1])
    name = Path("/proc", str(parent), "comm").read_text().strip()
    return [parent] if name == "slurmstepd" else []


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), SBIN])
