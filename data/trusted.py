"""Runs the generator's own programs without confinement.

A confined run costs a fork of a process that holds PyTorch (25 ms here); one in this process costs
1 ms, and `prepare` needs some two thousand. Only text that this package wrote may be run so: programs
from outside always go through the confined `ReferencePool`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from evaluation.problem import Instance
from evaluation.reference import trial as reference_trial
from evaluation.reference.draw import Draw, Trial
from evaluation.reference.graph import graph_hash
from evaluation.reference.pool import ReferencePool


class TrustedReference(ReferencePool):
    """A reference pool for generated programs, which it runs in this process.

    One at a time, whatever the threads that ask: a program draws from torch's one generator.
    """

    _lock = threading.Lock()

    def _drawn(self, requests: Sequence[tuple[Instance, Draw]]) -> list[Trial]:
        trials = []
        for instance, draw in requests:
            with self._lock:
                groups = reference_trial.trial(instance.program, draw)
            trials.append(Trial(**{group: _arrays(tensors) for group, tensors in groups.items()}))
        return trials

    def ignoring(self, instance: Instance, first: Draw, second: Draw) -> dict[str, dict[str, np.ndarray]]:
        """What should come out of the first draw if one input were that of the second, by its name."""
        with self._lock:
            found = reference_trial.ignoring(instance.program, first, second)
        return {name: _arrays(expected) for name, expected in found.items()}

    def graph(self, program: str, limit: int) -> str:
        """Hash of the operators that a generated program applies."""
        with self._lock:
            return graph_hash(program, limit)


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: _array(tensor.contiguous()) for name, tensor in tensors.items()}


def _array(tensor: torch.Tensor) -> np.ndarray:
    """As NumPy has it: bfloat16 as bit patterns."""
    return tensor.view(torch.uint16).numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()
