"""The least time that any kernel could need, and what is faster than that: not fast, but wrong somewhere.

A roofline (Williams et al., 2009) from peaks measured on the machine itself, so that it holds for the clocks
and the memory that this GPU really has.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from evaluation.problem import Frozen, Instance, Problem

MARGIN = 1.02
"""A peak is measured to about a percent; only what beats it by more is impossible."""


class Peaks(Frozen):
    """What one GPU reaches at best."""

    bytes_per_s: float = Field(gt=0)
    """Device memory: the best of a copy and a read."""
    flops_per_s: dict[str, float]
    """Product of large matrices by input dtype, on the fastest unit that takes them (float32: TF32)."""
    l2_bytes: int = Field(ge=0)
    """Writes of this many bytes may still lie in the cache when the clock stops."""


def floor_s(problem: Problem, peaks: Peaks) -> float:
    """Seconds that no kernel for `problem` at its shipped sizes can beat on this GPU."""
    traffic = memory_floor_s(problem.shipped, peaks)
    return max(traffic, problem.flops / (_flops_peak(problem.shipped, peaks) * MARGIN))


def memory_floor_s(instance: Instance, peaks: Peaks) -> float:
    """Seconds to read every input once, and to write what of the outputs does not stay in the L2 cache."""
    read = _bytes(instance.inputs) + _bytes(instance.parameters)
    written = max(0, _bytes(instance.outputs) - peaks.l2_bytes)
    return (read + written) / (peaks.bytes_per_s * MARGIN)


def fraction(problem: Problem, seconds: float, peaks: Peaks) -> float:
    """Share of the attainable speed that `seconds` is: all bytes at peak bandwidth, or all operations."""
    traffic = problem.bytes / peaks.bytes_per_s
    arithmetic = problem.flops / _flops_peak(problem.shipped, peaks)
    return max(traffic, arithmetic) / seconds


def _bytes(tensors: Iterable) -> int:
    return sum(int(tensor.nbytes) for tensor in tensors)


def _flops_peak(instance: Instance, peaks: Peaks) -> float:
    """The best rate among the dtypes of the inputs; the best of all where none is listed."""
    dtypes = {tensor.dtype for tensor in (*instance.inputs, *instance.parameters)}
    known = [rate for dtype, rate in peaks.flops_per_s.items() if dtype in dtypes]
    return max(known or peaks.flops_per_s.values())
