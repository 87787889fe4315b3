"""A candidate's launches at one choice of sizes, with every expression worked out to a number.

Planning is the last step that a backend need not repeat: a `Plan` names buffers and integers only, so both
backends launch exactly the same thing. Limits are CUDA's (compute capability 9.0) plus bounds of our own on
scratch and on the number of blocks, so that a plan is always small and can be launched. A wrong name or kind
is REJECTED, for it would be wrong at any size; a number out of range is a LAUNCH_ERROR.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from math import prod

from pydantic import Field

from evaluation.answer import kernel_names
from evaluation.candidate import Candidate, Launch, Scratch
from evaluation.expressions import (
    Expression,
    ExpressionError,
    Number,
    Scope,
    Size,
    UnknownNameError,
    Value,
    evaluate,
    evaluate_integer,
)
from evaluation.problem import DTYPE_BYTES, Frozen, Instance, Name, Tensor
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status

Extent = tuple[int, int, int]

MAX_KERNEL_NAME = 256
"""Longest name of a kernel, with its template arguments."""
MAX_GRID: Extent = (2**31 - 1, 65535, 65535)
MAX_BLOCKS = 2**31 - 1
"""Blocks of one launch, over all three dimensions."""
MAX_BLOCK: Extent = (1024, 1024, 64)
MAX_THREADS = 1024
"""Threads of one block."""
MAX_SHARED_BYTES = 227 * 1024
"""Dynamic shared memory of one block."""
MAX_SCRATCH_BYTES = 64 * 2**20
"""Scratch that every candidate may have, in bytes; beyond it, MAX_SCRATCH_FACTOR decides."""
MAX_SCRATCH_FACTOR = 16
"""Scratch in multiples of the bytes of the instance's own tensors."""


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


def plan(candidate: Candidate, instance: Instance) -> Plan | Refusal:
    """Work out all buffers and launches; the first thing that cannot be is the refusal's reason."""
    try:
        buffers = _buffers(candidate, instance)
        scope = _scope(candidate, instance, buffers)
        launches = tuple(
            _launch(launch, kernel, scope)
            for launch, kernel in zip(candidate.launches, _kernels(candidate, instance), strict=True)
        )
    except UnknownNameError as error:
        return Refusal(status=Status.REJECTED, reason=str(error))
    except ExpressionError as error:
        return Refusal(status=Status.LAUNCH_ERROR, reason=str(error))
    return Plan(buffers=buffers, launches=launches)


def kernels_of(candidate: Candidate, instance: Instance) -> tuple[str, ...] | Refusal:
    """The kernels launched, each once, as C++ calls them; the same at all sizes of a problem."""
    try:
        return tuple(dict.fromkeys(_kernels(candidate, instance)))
    except UnknownNameError as error:
        return Refusal(status=Status.REJECTED, reason=str(error))


def _kernels(candidate: Candidate, instance: Instance) -> list[str]:
    """The kernel of each launch line."""
    tensors = (*instance.inputs, *instance.parameters, *instance.outputs)
    dtypes = {tensor.name: tensor.dtype for tensor in tensors}
    dtypes |= {line.name: line.dtype for line in candidate.scratch}
    code = plain(candidate.source)
    return [
        kernel_names.instance(
            code, launch.kernel, launch.template, [_type(argument, dtypes) for argument in launch.arguments]
        )
        for launch in candidate.launches
    ]


def _type(argument: Expression, dtypes: Mapping[str, str]) -> str:
    """What a launch by nvcc would pass."""
    if isinstance(argument, Size) and argument.name in dtypes:
        return f"{kernel_names.CPP_TYPES[dtypes[argument.name]]}*"
    return "float" if isinstance(argument, Number) and isinstance(argument.value, float) else "int"


def _buffers(candidate: Candidate, instance: Instance) -> tuple[Buffer, ...]:
    """The instance's tensors, then the scratch buffers."""
    inputs = [Buffer(tensor=tensor, role=Role.INPUT) for tensor in (*instance.inputs, *instance.parameters)]
    outputs = [Buffer(tensor=tensor, role=Role.OUTPUT) for tensor in instance.outputs]
    scope = _scope(candidate, instance, inputs + outputs)
    scratch: list[tuple[Scratch, tuple[int, ...]]] = []
    taken = {*scope.sizes, *scope.shapes}
    for line in candidate.scratch:
        if line.name in taken:
            raise UnknownNameError(f"the scratch buffer {line.name} has a name that is already taken")
        taken.add(line.name)
        scratch.append((line, _scratch_shape(line, scope)))
    own = sum(buffer.tensor.nbytes for buffer in inputs + outputs)
    allowed = max(MAX_SCRATCH_BYTES, MAX_SCRATCH_FACTOR * own)
    wanted = sum(prod(shape) * DTYPE_BYTES[line.dtype] for line, shape in scratch)
    if wanted > allowed:
        raise ExpressionError(f"the scratch buffers take {wanted} bytes; at most {allowed} are allowed")
    tensors = (Tensor(name=line.name, shape=shape, dtype=line.dtype) for line, shape in scratch)
    return (*inputs, *outputs, *(Buffer(tensor=tensor, role=Role.SCRATCH) for tensor in tensors))


def _scope(candidate: Candidate, instance: Instance, buffers: Sequence[Buffer]) -> Scope:
    """What names mean when these buffers are there."""
    shapes = {buffer.tensor.name: buffer.tensor.shape for buffer in buffers}
    return Scope(instance.sizes, shapes, dict(candidate.constants))


def _scratch_shape(line: Scratch, scope: Scope) -> tuple[int, ...]:
    shape = tuple(_value(extent, scope, f"scratch {line.name}") for extent in line.shape)
    if min(shape) < 1:
        raise ExpressionError(
            f"scratch {line.name} has the shape {list(shape)}; every extent must be at least 1"
        )
    return shape


def _launch(launch: Launch, kernel: str, scope: Scope) -> PlannedLaunch:
    where = f"launch {launch.kernel}"
    return PlannedLaunch(
        kernel=kernel,
        grid=_extent(launch.grid, scope, f"{where}: grid", MAX_GRID, MAX_BLOCKS, "blocks"),
        block=_extent(launch.block, scope, f"{where}: block", MAX_BLOCK, MAX_THREADS, "threads"),
        shared_bytes=_shared_bytes(launch.shared, scope, where),
        arguments=tuple(_argument(argument, scope, where) for argument in launch.arguments),
    )


def _extent(
    expressions: Sequence[Expression], scope: Scope, where: str, limits: Extent, most: int, unit: str
) -> Extent:
    """Work out a grid or block and hold it against its limits."""
    x, y, z = [*(_value(expression, scope, where) for expression in expressions), 1, 1][:3]
    for axis, value, limit in zip("xyz", (x, y, z), limits, strict=True):
        if not 1 <= value <= limit:
            raise ExpressionError(f"{where} {axis} is {value}; it must be from 1 to {limit}")
    if x * y * z > most:
        raise ExpressionError(f"{where} ({x}, {y}, {z}) has {x * y * z} {unit}; at most {most} are allowed")
    return x, y, z


def _shared_bytes(expression: Expression, scope: Scope, where: str) -> int:
    value = _value(expression, scope, f"{where}: shared memory")
    if not 0 <= value <= MAX_SHARED_BYTES:
        raise ExpressionError(
            f"{where}: shared memory is {value} bytes; it must be from 0 to {MAX_SHARED_BYTES}"
        )
    return value


def _argument(argument: Expression, scope: Scope, where: str) -> BufferArgument | Value:
    """A bare name is a buffer where there is one, else a number."""
    if isinstance(argument, Size) and argument.name in scope.shapes:
        return BufferArgument(buffer=argument.name)
    if isinstance(argument, Size) and argument.name not in {*scope.sizes, *scope.constants}:
        known = ", ".join((*scope.shapes, *scope.sizes))
        raise UnknownNameError(f"{where}: unknown argument {argument.name!r}; the names are: {known}")
    with _standing(f"{where}: argument"):
        return evaluate(argument, scope)


def _value(expression: Expression, scope: Scope, where: str) -> int:
    """Work out an expression that must be an integer."""
    with _standing(where):
        return evaluate_integer(expression, scope)


@contextmanager
def _standing(where: str) -> Iterator[None]:
    """Say in an error where the expression stands."""
    try:
        yield
    except ExpressionError as error:
        raise type(error)(f"{where}: {error}") from None
