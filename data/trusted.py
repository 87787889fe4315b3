"""Runs the generator's own programs without confinement.

A confined run costs a fork of a process that holds PyTorch (25 ms here); one in this process costs
1 ms, and `prepare` needs some two thousand. Only text that this package wrote may be run so: programs
from outside always go through the confined `ReferencePool`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from evaluation import reference_run
from evaluation.problem import Instance
from evaluation.reference import ReferencePool, Trial, families


class TrustedReference(ReferencePool):
    """A reference pool for generated programs; it differs from the confined one in `trial` and `ignoring`."""

    def trial(self, instance: Instance, seed: int) -> Trial:
        """Fresh inputs and expected outputs, a function of both arguments alone (float32 programs).

        As in the confined pool, odd seeds also scale and shift the inputs; the numbers drawn are others.
        """
        result = reference_run.run(instance.program, seed, families(instance, seed))
        return Trial(_arrays(result.inputs), _arrays(result.expected), result.errors())

    def ignoring(self, instance: Instance, seed: int, other: int) -> dict[str, dict[str, np.ndarray]]:
        """What should come out under `seed` if one input were that of `other`, by that input's name."""
        both = families(instance, seed), families(instance, other)
        found = reference_run.ignoring(instance.program, (seed, other), both)
        return {name: _arrays(expected) for name, expected in found.items()}


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
