"""A reference program on the GPU: inputs drawn from a seed, baselines to time, expected values.

Used inside workers only. Two processes that draw from the same seed on the same GPU hold the same inputs, so
the process that knows what is expected need not be the one that runs the candidate. Drawing, running and
comparing are those of the CPU (`evaluation.reference.trial`); only the device is another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from evaluation.reference.draw import Kind
from evaluation.reference.inputs import Width
from evaluation.reference.trial import Content, Run, Source

_DEVICE = "cuda"


class GpuReference:
    """A program loaded on the GPU with its parameters redrawn."""

    def __init__(self, program: str, seed: int, *, tf32: bool = False) -> None:
        torch.set_default_device(_DEVICE)
        self._tf32 = tf32
        _allow_tf32(tf32)
        self._any = Source(program, seed, _DEVICE).draw(Width(Kind.OWN)).without_values()

    def draw(self, seed: int) -> Content:
        """Fresh inputs from `seed`, the same in every process."""
        return self._any.with_other_values(seed, _DEVICE)

    def arranged(self, values: list[Any]) -> list[Any]:
        """The arguments of a baseline that hold `values`."""
        return self._any.loaded.arranged(values)

    def baseline(self, name: str) -> Callable[..., Any]:
        """The function to time, as a `Baseline` names it."""
        function = self._any.loaded.function
        if name == "compile":
            compiled: Callable[..., Any] = torch.compile(function)
            return compiled
        return self._in_tf32 if name == "eager_tf32" else function

    def _in_tf32(self, *arguments: Any) -> Any:
        _allow_tf32(True)
        try:
            return self._any.loaded.function(*arguments)
        finally:
            _allow_tf32(self._tf32)

    def results(self, content: Content) -> Run:
        """What is expected: float64 where memory allows. It does not hold on to the inputs."""
        try:
            result = content.run(_DEVICE)
        except torch.OutOfMemoryError:
            outputs = content.outputs(_DEVICE)
            result = Run(content, outputs, outputs)
        return result.bounded()


def _allow_tf32(allowed: bool) -> None:
    """Whether float32 products and convolutions that start from now on may round their inputs to TF32."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
