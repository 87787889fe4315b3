"""A candidate's launches at one choice of sizes, with every expression worked out to a number.

Planning is the last step that a backend need not repeat: a `Plan` names buffers and integers only,
so both backends launch exactly the same thing.
"""

from __future__ import annotations

from enum import StrEnum

from evaluation.problem import Frozen, Name, Tensor

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

    kernel: Name
    grid: Extent
    block: Extent
    shared_bytes: int
    arguments: tuple[BufferArgument | int | float, ...]
    template: tuple[str, ...] = ()
    """Arguments of a template kernel, as in C++."""


class Plan(Frozen):
    """All buffers of an instance and the launches, in order, on one stream."""

    buffers: tuple[Buffer, ...]
    launches: tuple[PlannedLaunch, ...]
