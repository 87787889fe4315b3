"""The section `launcher:` of a profile: who starts a training stage's processes, and on how many nodes.

Nothing here imports torch or Megatron.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from evaluation.marks import Machine
from evaluation.problem import Frozen


class LauncherKind(StrEnum):
    """Who starts a stage's processes."""

    LOCAL = "local"  #: this machine, at once
    SLURM = "slurm"  #: a batch job, whose nodes share this disk


class LauncherSettings(Frozen):
    """Where training stages run."""

    kind: Machine[LauncherKind] = LauncherKind.LOCAL
    """Who starts a stage's processes."""
    nodes: Machine[int] = Field(default=1, ge=1)
    """Nodes that train together, each with `megatron.nproc_per_node` processes."""
    partition: Machine[str | None] = None
    """Slurm's partition; none is its default."""
    account: Machine[str | None] = None
    """What the job is charged to; none is the user's default."""
    time: Machine[str] = Field(default="24:00:00", pattern=r"^(\d+-)?\d+(:\d+){0,2}$")
    """Wall time of one job, as Slurm writes it; a training that takes longer is requeued and goes on."""
    memory: Machine[str | None] = Field(default=None, pattern=r"^\d+[KMGT]?$")
    """Memory of each node, such as `220G`; none is Slurm's default, which is often little."""
    cpus_per_node: Machine[int | None] = Field(default=None, ge=1)
    """Cores of each node; none is Slurm's default."""
    gpus_per_node: Machine[int] = Field(default=0, ge=0)
    """GPUs of each node that the job asks for."""
    options: Machine[tuple[str, ...]] = ()
    """Further options of sbatch, such as `--constraint=scratch`."""
    setup: Machine[tuple[str, ...]] = ()
    """Lines of shell that run on the first node before training, such as `module load cuda`."""
    container: Machine[tuple[str, ...]] = ()
    """What stands before the interpreter on every node, such as `[apptainer, exec, --nv, warpsmith.sif]`."""
    python: Machine[str | None] = None
    """Interpreter on the nodes, or in the container; none is the one that runs here."""
    interface: Machine[str | None] = None
    """Network interface for gloo, NCCL and the engines' addresses, such as `hsn0`; none is that of the route
    to the first node."""
    warning_s: Machine[int] = Field(default=300, ge=0, le=65_535)
    """Seconds before the end of the wall time at which a training saves a snapshot and is requeued."""
    max_restarts: Machine[int] = Field(default=10, ge=0)
    """How often a job goes on after preemption, the end of its wall time or the loss of a node."""
    poll_s: Machine[float] = Field(default=10.0, gt=0)
    """Seconds between two looks at a job."""

    @model_validator(mode="after")
    def _several_nodes_need_slurm(self) -> LauncherSettings:
        if self.kind is LauncherKind.LOCAL and self.nodes > 1:
            raise ValueError(
                f"nodes {self.nodes} need `kind: slurm`; `python -m training --nnodes` starts them by hand"
            )
        return self
