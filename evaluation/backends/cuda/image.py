"""Images of device memory: every buffer of a run between guard zones, made and judged outside the candidate.

An execution starts from an image in which inputs hold their values and all else (guard zones, outputs,
scratch) holds a fill byte. Two executions use different fills. Under 0xFF every floating-point format reads
NaN and integers read -1; under 0x7F they read huge values. So an output that depends on memory that the
kernel never wrote, or on memory beyond a buffer, differs between the two or is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.plan import Buffer, Plan, Role
from evaluation.problem import numpy_dtype
from evaluation.verdict import Refusal, Status

GUARD_BYTES = 4096
"""Guard zone before the first buffer, between neighbours, and after the last."""
ALIGNMENT = 256
"""Alignment of every buffer, as cudaMalloc gives it."""
FILLS = (0xFF, 0x7F)
"""Fill bytes of the first and of the second execution."""


@dataclass(frozen=True)
class Layout:
    """Where each buffer of a plan lies in an image."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    size: int

    def image(self, inputs: Mapping[str, np.ndarray], fill: int) -> np.ndarray:
        """The image before the first launch, uint8[size]."""
        image = np.full(self.size, fill, dtype=np.uint8)
        for buffer in self.buffers:
            if buffer.role is Role.INPUT:
                self.view(image, buffer)[...] = inputs[buffer.tensor.name]
        return image

    def view(self, image: np.ndarray, buffer: Buffer) -> np.ndarray:
        """One buffer of an image in its declared dtype and shape (bfloat16 as uint16)."""
        start = self.offsets[buffer.tensor.name]
        flat = image[start : start + buffer.tensor.nbytes].view(numpy_dtype(buffer.tensor.dtype))
        return flat.reshape(buffer.tensor.shape)

    def outputs(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of all outputs by name."""
        found = [buffer for buffer in self.buffers if buffer.role is Role.OUTPUT]
        return {buffer.tensor.name: self.view(image, buffer).copy() for buffer in found}

    def damage(self, before: np.ndarray, after: np.ndarray) -> Refusal | None:
        """Refuse if anything but outputs and scratch differs: a guard zone or an input was written."""
        changed = before != after
        for buffer in self.buffers:
            start = self.offsets[buffer.tensor.name]
            if buffer.role is not Role.INPUT:
                changed[start : start + buffer.tensor.nbytes] = False
            elif changed[start : start + buffer.tensor.nbytes].any():
                return _fault(f"the input {buffer.tensor.name} was written to")
        if not changed.any():
            return None
        return _fault(self._place(int(np.argmax(changed))))

    def _place(self, position: int) -> str:
        """Which buffer a stray write lies next to."""
        nearest = min(self.buffers, key=lambda buffer: self._distance(buffer, position))
        start, name = self.offsets[nearest.tensor.name], nearest.tensor.name
        if position < start:
            return f"out of bounds: a write {start - position} bytes before {name}"
        return (
            f"out of bounds: a write {position - start - nearest.tensor.nbytes} bytes past the end of {name}"
        )

    def _distance(self, buffer: Buffer, position: int) -> int:
        start = self.offsets[buffer.tensor.name]
        return max(start - position, position - start - buffer.tensor.nbytes)


def lay_out(plan: Plan) -> Layout:
    """Place all buffers of `plan`, in order."""
    offsets: dict[str, int] = {}
    end = GUARD_BYTES
    for buffer in plan.buffers:
        offsets[buffer.tensor.name] = end
        end += buffer.tensor.nbytes + GUARD_BYTES
        end += -end % ALIGNMENT
    return Layout(plan.buffers, offsets, end)


def equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two executions left the same bytes in an output."""
    return np.array_equal(_octets(first), _octets(second))


def unwritten(name: str, first: np.ndarray, second: np.ndarray) -> Refusal | None:
    """Refuse an element of an output that holds the fill byte of both executions."""
    untouched = _holds(first, FILLS[0]) & _holds(second, FILLS[1])
    if not untouched.any():
        return None
    place = np.unravel_index(int(np.argmax(untouched)), first.shape)
    return Refusal(
        status=Status.WRONG,
        reason=f"{_element(name, place)} is never written, or copied from unwritten memory",
    )


def _holds(values: np.ndarray, fill: int) -> np.ndarray:
    """Which elements consist of the fill byte alone."""
    octets = _octets(values).reshape(*values.shape, values.itemsize)
    return np.asarray((octets == fill).all(axis=-1))


def _octets(values: np.ndarray) -> np.ndarray:
    """The bytes of an array in one row; a scalar has no axis that a view could divide."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _element(name: str, place: tuple) -> str:
    return f"{name}[{', '.join(str(int(index)) for index in place)}]" if place else name


def _fault(reason: str) -> Refusal:
    return Refusal(status=Status.FAULT, reason=reason)
