"""Runs the generator's own programs without confinement.

A confined run costs a fork of a process that holds PyTorch (25 ms here); one in this process costs
1 ms, and `prepare` needs some two thousand. Only text that this package wrote may be run so: programs
from outside always go through the confined `ReferencePool`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from evaluation.problem import Instance
from evaluation.reference import trial as reference_trial
from evaluation.reference.draw import Draw, Trial
from evaluation.reference.pool import ReferencePool


class TrustedReference(ReferencePool):
    """A reference pool for generated programs; it differs from the confined one in `trial` and `ignoring`."""

    def _drawn(self, requests: Sequence[tuple[Instance, Draw]]) -> list[Trial]:
        trials = []
        for instance, draw in requests:
            groups = reference_trial.trial(instance.program, draw)
            trials.append(Trial(**{group: _arrays(tensors) for group, tensors in groups.items()}))
        return trials

    def ignoring(self, instance: Instance, first: Draw, second: Draw) -> dict[str, dict[str, np.ndarray]]:
        """What should come out of the first draw if one input were that of the second, by its name."""
        found = reference_trial.ignoring(instance.program, first, second)
        return {name: _arrays(expected) for name, expected in found.items()}


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
