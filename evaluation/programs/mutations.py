"""Is a problem worth solving? Answers that compute nothing must be rejected by its own comparison.

A problem whose check accepts zeros, a constant, a copy of an input, the answer to other inputs, or an
answer that leaves an input out would reward exactly that. So a problem is tried with these mutants before it
is used, on two draws of its inputs; one that survives on both is the reason to refuse the problem. Nothing is
run here: a mutant is an array made of the draws, judged by `evaluation.tolerance.compare` like an output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from evaluation.problem import Frozen, Tensor
from evaluation.tolerance import widen

if TYPE_CHECKING:
    from evaluation.reference.draw import Trial

_FLOATS = ("float64", "float32", "float16", "bfloat16")


class Mutation(StrEnum):
    """An answer that leaves out the work."""

    ZEROS = "zeros"
    CONSTANT = "a constant"
    COPY = "a copy of the input"  #: reshaped and converted if it has as many elements
    REPLAY = "the answer to other inputs"
    IGNORED = "an answer that ignores the input"


class Survivor(Frozen):
    """A mutant that a problem's check accepts."""

    mutation: Mutation
    output: str
    input: str | None = None
    """The input that is copied or ignored."""

    @property
    def reason(self) -> str:
        """Why the problem is refused, in one sentence."""
        what = self.mutation.value + (f" {self.input}" if self.input else "")
        return f"the check accepts {what} as {self.output}"


def survivors(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    first: Trial,
    second: Trial,
    tolerance: float,
    ignored: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> list[Survivor]:
    """Every mutant that the comparison accepts on both draws; empty for a sound problem.

    Args:
        inputs: the instance's inputs and parameters.
        outputs: its outputs.
        first: one draw of inputs, with what is expected.
        second: a draw from another seed.
        tolerance: the problem's.
        ignored: by name of an input or parameter, the outputs that the reference gives for the second draw
            with that one taken from the first; what is missing here, or of its outputs, is not tried.
    """
    return [
        survivor
        for output in outputs
        for survivor in _surviving(inputs, output, first, second, tolerance, ignored or {})
    ]


def _surviving(
    inputs: Sequence[Tensor],
    output: Tensor,
    first: Trial,
    second: Trial,
    tolerance: float,
    ignored: Mapping[str, Mapping[str, np.ndarray]],
) -> Iterator[Survivor]:
    def passes(trial: Trial, values: np.ndarray) -> bool:
        return _accepted(output, values, trial, tolerance)

    if output.numel == 0:
        return
    for constant in _constants(first.expected[output.name]):
        flat = np.full(output.shape, constant)
        if passes(first, flat) and passes(second, flat):
            mutation = Mutation.CONSTANT if constant else Mutation.ZEROS
            yield Survivor(mutation=mutation, output=output.name)
            break
    for tensor in inputs:
        if tensor.numel == output.numel and all(
            passes(trial, _values(trial.inputs[tensor.name], tensor.dtype).reshape(output.shape))
            for trial in (first, second)
        ):
            yield Survivor(mutation=Mutation.COPY, output=output.name, input=tensor.name)
    if passes(second, first.expected[output.name]):
        yield Survivor(mutation=Mutation.REPLAY, output=output.name)
    for name, expected in ignored.items():
        if output.name in expected and passes(second, expected[output.name]):
            yield Survivor(mutation=Mutation.IGNORED, output=output.name, input=name)


def _accepted(output: Tensor, values: np.ndarray, trial: Trial, tolerance: float) -> bool:
    """Whether a kernel that gave these values would be right."""
    return trial.judge(output, narrow(values, output.dtype), tolerance).reason is None


def _constants(want: np.ndarray) -> list[float]:
    """Zero, and the constants that come closest to some values."""
    values = want.astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return [0.0]
    middle = (float(values.min()) + float(values.max())) / 2
    return [0.0, float(np.median(values)), float(values.mean()), middle]


def _values(array: np.ndarray, dtype: str) -> np.ndarray:
    """An input's values as float64; integers and booleans as they are."""
    return widen(array, dtype) if dtype in _FLOATS else array


def narrow(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values in a declared dtype, rounded to nearest; bfloat16 as uint16 bit patterns."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(dtype)
    single = np.ascontiguousarray(values, dtype=np.float32)
    bits = single.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(single), np.uint16(0x7FC0), rounded)
