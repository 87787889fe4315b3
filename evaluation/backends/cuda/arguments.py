"""Launch arguments as a kernel takes them: checked and converted to its own parameter types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from evaluation.backends.cuda.ptx import Kernel, Parameter
from evaluation.plan import BufferArgument, Plan, PlannedLaunch
from evaluation.verdict import Refusal, Status

_POINTER_BYTES = 8


def typed_launches(
    plan: Plan, offsets: Mapping[str, int] | Mapping[str, str], kernels: Mapping[str, Kernel]
) -> list[dict[str, Any]] | Refusal:
    """All launches of a plan, ready for JSON; refuses with LAUNCH_ERROR where an argument does not fit.

    An argument is `["value", number]`, or `["buffer", x]` with what `offsets` says of the buffer, of which
    the worker makes an address.
    """
    refusal = too_many_threads(plan, kernels)
    if refusal is not None:
        return refusal
    launches = []
    for launch in plan.launches:
        kernel = kernels[launch.kernel]
        arguments = _typed(launch, offsets, kernel.parameters)
        if isinstance(arguments, str):
            reason = f"launch {launch.kernel}: {arguments}"
            return Refusal(status=Status.LAUNCH_ERROR, reason=reason)
        launches.append(
            {
                "kernel": kernel.symbol,
                "grid": launch.grid,
                "block": launch.block,
                "shared": launch.shared_bytes,
                "arguments": arguments,
            }
        )
    return launches


def too_many_threads(plan: Plan, kernels: Mapping[str, Kernel]) -> Refusal | None:
    """Refuse a launch with more threads a block than the kernel's `__launch_bounds__` promises."""
    for launch in plan.launches:
        bound, threads = kernels[launch.kernel].max_threads, prod(launch.block)
        if bound is not None and threads > bound:
            reason = (
                f"launch {launch.kernel}: {threads} threads a block are over its __launch_bounds__ of {bound}"
            )
            return Refusal(status=Status.LAUNCH_ERROR, reason=reason)
    return None


def _typed(
    launch: PlannedLaunch, offsets: Mapping[str, int] | Mapping[str, str], parameters: Sequence[Parameter]
) -> list[tuple[str, int | float | str]] | str:
    if len(launch.arguments) != len(parameters):
        return f"{len(launch.arguments)} arguments are given; the kernel takes {len(parameters)}"
    found: list[tuple[str, int | float | str]] = []
    for index, (argument, parameter) in enumerate(zip(launch.arguments, parameters, strict=True), start=1):
        if isinstance(argument, BufferArgument):
            if parameter.is_float or parameter.size != _POINTER_BYTES:
                return (
                    f"argument {index} is the buffer {argument.buffer}; the kernel's parameter is no pointer"
                )
            found.append(("buffer", offsets[argument.buffer]))
            continue
        value = _number(argument, parameter)
        if isinstance(value, str):
            return f"argument {index} {value}"
        found.append(("value", value))
    return found


def _number(argument: int | float, parameter: Parameter) -> int | float | str:
    """The value to pass, or why it does not fit."""
    if parameter.is_struct:
        return "goes to a parameter that is a struct (__half is one too); take a float and convert it"
    if parameter.is_float:
        return float(argument)
    if isinstance(argument, float):
        return f"is {argument:g}, but the kernel's parameter is an integer or a pointer"
    bits = 8 * parameter.size
    if not -(2 ** (bits - 1)) <= argument < 2**bits:
        return f"is {argument}, which does not fit the kernel's parameter of {bits} bits"
    return int(argument % 2**bits)
