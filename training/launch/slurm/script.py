"""The batch script of a job: one process on every node, and what becomes of the job afterwards.

A job whose work did not come to an end (`training.launch.slurm.outcome`) is requeued: the same job, with the
same id, goes on from the last snapshot. One that was cancelled is in no state to be requeued, so it ends.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from training.launch.slurm.outcome import ENDED, OUTCOMES
from training.settings.launcher import LauncherSettings

#: In a job's folder: the script, what it runs, what was said.
SCRIPT, SUBMISSION, LOG = "job.sh", "submission.json", "slurm.log"

_TEMPLATE = """\
#!/bin/bash
{options}

cd {checkout} || exit 1
out={out}
rm -rf "$out/{ended}" "$out/{outcomes}"
mkdir -p "$out/{outcomes}"
{setup}
# Before the wall time ends, and when the job is preempted. The processes look for the file at every step.
stop() {{ for node in "$out"/reports/node-*; do touch "$node/stop"; done; }}
trap stop USR1 TERM

srun --ntasks-per-node=1 {cpus}--cpu-bind=none --kill-on-bad-exit=0 --wait=60 {command} &
while true; do
    wait $!
    status=$?
    kill -0 $! 2>/dev/null || break
done

if [ ! -e "$out/{ended}" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
    if [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
        echo "slurm: job $SLURM_JOB_ID is requeued and goes on from the last snapshot"
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit $status
"""


def batch_script(
    settings: LauncherSettings, name: str, command: Sequence[str], checkout: Path, out_dir: Path
) -> str:
    """The script of a job that runs `python command...` once on each of the nodes that `settings` ask for.

    Args:
        settings: the section `launcher:`.
        name: of the job.
        command: arguments of the interpreter.
        checkout: where the code lies, on the shared disk.
        out_dir: the job's folder, on the shared disk.
    """
    asked = {
        "job-name": name,
        "nodes": settings.nodes,
        "ntasks-per-node": 1,
        "partition": settings.partition,
        "account": settings.account,
        "time": settings.time,
        "mem": settings.memory,
        "cpus-per-task": settings.cpus_per_node,
        "gpus-per-node": settings.gpus_per_node or None,
        "output": out_dir / LOG,
        "open-mode": "append",
        "signal": f"B:USR1@{settings.warning_s}",
    }
    options = [f"--{option}={value}" for option, value in asked.items() if value is not None]
    python = [*settings.container, settings.python or sys.executable]
    return _TEMPLATE.format(
        options="\n".join(f"#SBATCH {option}" for option in [*options, "--requeue", *settings.options]),
        checkout=shlex.quote(str(checkout)),
        out=shlex.quote(str(out_dir)),
        setup="\n".join([*_exports(settings), *settings.setup]),
        cpus=f"--cpus-per-task={cpus} " if (cpus := settings.cpus_per_node) else "",  # not inherited
        command=shlex.join([*python, *command]),
        restarts=settings.max_restarts,
        ended=ENDED,
        outcomes=OUTCOMES,
    )


def _exports(settings: LauncherSettings) -> list[str]:
    if settings.interface is None:
        return []
    interface = shlex.quote(settings.interface)
    return [f"export GLOO_SOCKET_IFNAME={interface} NCCL_SOCKET_IFNAME={interface}"]
