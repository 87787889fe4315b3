"""What a candidate is judged on: which kinds of inputs are drawn, and what a draw holds.

Programs draw `torch.rand` or `torch.randn`, so a missing negative branch, clamp, maximum or epsilon would
never show. Each kind of input shows another sort of fault; over the cases of a problem every kind occurs.
`evaluation.reference.inputs` draws them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from evaluation.problem import Instance, Tensor
from evaluation.tolerance import Comparison, compare


class Kind(StrEnum):
    """A kind of input, and what it shows."""

    OWN = "own"  #: as the program draws them
    SIGNED = "signed"  #: both signs, with ties, zeros, and rows and planes that are constant or zero
    BELOW = "below"  #: negative: a maximum that starts at 0, a missing negative branch
    ABOVE = "above"  #: positive, and far from zero: a minimum that starts at 0, a mean that is neglected
    LARGE = "large"  #: 20 to 300, outliers, rows far below 0: a clamp or maximum left out, overflow
    TINY = "tiny"  #: 1e-2 to 1e-4: an epsilon, small terms, cancellation


_TELLING = (Kind.SIGNED, Kind.BELOW, Kind.LARGE)
"""What shows most where a thread has several elements to reduce, and asks nothing of how exactly it does."""


@dataclass(frozen=True)
class Draw:
    """Names one set of inputs of a program: always the same numbers on the same kind of machine."""

    kind: Kind
    seed: int


@dataclass(frozen=True)
class Trial:
    """One set of inputs and what should come out; arrays are read-only."""

    inputs: dict[str, np.ndarray]
    """Inputs and parameters in the declared dtype; bfloat16 as uint16 bit patterns."""
    expected: dict[str, np.ndarray]
    """Outputs: floating-point ones in float64, integers and booleans as declared."""
    scale: dict[str, np.ndarray]
    """What counts as the size of each element besides its value; see `evaluation.tolerance`."""
    slack: dict[str, np.ndarray]
    """Error allowed to each element besides; infinite for one that the program does not determine."""

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays."""
        groups = (self.inputs, self.expected, self.scale, self.slack)
        return sum(array.nbytes for group in groups for array in group.values())

    def judge(self, output: Tensor, got: np.ndarray, tolerance: float) -> Comparison:
        """Compare what a kernel gives as one of the outputs with what should come out."""
        name = output.name
        return compare(
            name,
            output.dtype,
            got,
            self.expected[name],
            tolerance=tolerance,
            scale=self.scale.get(name, 0.0),
            slack=self.slack.get(name, 0.0),
        )


@dataclass(frozen=True)
class Case:
    """One instance of a problem with inputs drawn."""

    instance: Instance
    kind: Kind
    trial: Trial


def spread(
    instances: Sequence[Instance], rng: random.Random, long: Instance | None = None
) -> list[tuple[Instance, Kind]]:
    """Every instance with a kind of inputs, and every kind at least once: the smallest comes more often.

    A `long` one comes in its place, with the kinds that tell most there.
    """
    kinds = sorted(rng.sample(list(Kind), len(Kind)), key=lambda kind: long is not None and kind in _TELLING)
    repeated = [long] if long else sorted(instances, key=elements)[:1]
    further = repeated * max(0, len(kinds) - len(instances))
    return [(instance, kinds[index % len(kinds)]) for index, instance in enumerate([*instances, *further])]


def elements(instance: Instance) -> int:
    """Of all tensors of an instance."""
    tensors = (*instance.inputs, *instance.parameters, *instance.outputs)
    return sum(tensor.numel for tensor in tensors)
