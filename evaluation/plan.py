"""A candidate's launches at one choice of sizes, with every expression worked out to a number.

Planning is the last step that a backend need not repeat: a `Plan` names buffers and integers only,
so both backends launch exactly the same thing.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from evaluation.problem import Frozen, Name, Tensor

MAX_KERNEL_NAME = 256
"""Longest name of a kernel, with its template arguments."""

Extent = tuple[int, int, int]


class Role(StrEnum):
    """What a kernel may do with a buffer."""

    INPUT = "input"  #: read only; a write is a fault
    OUTPUT = "output"  #: compared with the reference afterwards
    SCRATCH = "scratch"  #: the candidate's own, uninitialised


class Buffer(Frozen):
    """One device buffer."""

    tensor: Tensor
    role: Role


class BufferArgument(Frozen):
    """A kernel argument that is the address of a buffer."""

    buffer: Name


class PlannedLaunch(Frozen):
    """One kernel launch: extents, dynamic shared memory in bytes, and the arguments in order.

    An integer or float argument takes the type of the kernel's own parameter.
    """

    kernel: str = Field(pattern=r"^[A-Za-z_][\w:<>, ]*$", max_length=MAX_KERNEL_NAME)
    """As C++ calls it: `sum`, `ops::sum`, `sum<float, 256>`."""
    grid: Extent
    block: Extent
    shared_bytes: int
    arguments: tuple[BufferArgument | int | float, ...]


class Plan(Frozen):
    """All buffers of an instance and the launches, in order, on one stream."""

    buffers: tuple[Buffer, ...]
    launches: tuple[PlannedLaunch, ...]

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels launched, each once, in order of first launch."""
        return tuple(dict.fromkeys(launch.kernel for launch in self.launches))
