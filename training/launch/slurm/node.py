"""What a job runs once on every node: `python -m training.launch.slurm.node OUT_DIR`.

It is the node's launcher: it starts the node's processes, they end with it, and it ends with the job.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from evaluation.problem import Frozen
from training.launch.local import die_with_parent, run_job
from training.launch.nodes import Node
from training.launch.slurm.outcome import run_on_node
from training.launch.slurm.script import SUBMISSION
from training.preflight.machine import check_gpus
from training.settings.jobs import GrpoJob, SftJob

#: Ports of first nodes: one for every job, so that two jobs on a node do not meet.
_FIRST_PORT, _PORTS = 10_000, 10_000


class Submission(Frozen):
    """What a job runs."""

    module: str
    """Such as `training.grpo`."""
    job: GrpoJob | SftJob
    """What it gets."""
    processes: int
    """Of each node."""


def node_of_job(environment: Mapping[str, str]) -> Node:
    """This node's place, as Slurm's variables say."""
    return Node(
        count=int(environment["SLURM_NNODES"]),
        number=int(environment["SLURM_NODEID"]),
        address=environment["SLURM_LAUNCH_NODE_IPADDR"],
        port=_FIRST_PORT + int(environment["SLURM_JOB_ID"]) % _PORTS,
        managed=True,
    )


def main(out_dir: Path) -> int:
    """Run this node's part to its end and say how that was."""
    die_with_parent()
    node = node_of_job(os.environ)
    return run_on_node(out_dir, node.number, lambda: _train(out_dir, node))


def _train(out_dir: Path, node: Node) -> None:
    submission = Submission.model_validate_json((out_dir / SUBMISSION).read_text())
    node.check()
    check_gpus(submission.job.settings.megatron)
    run_job(submission.module, submission.job, out_dir, submission.processes, node)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
