"""A reference program on the GPU: inputs drawn from a seed, baselines to time, expected values.

Used inside workers only. Two processes that draw from the same seed on the same GPU hold the same inputs, so
the process that knows what is expected need not be the one that runs the candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evaluation import reference_run
from evaluation.reference_modes import Redirect

_EPSILON = {
    torch.float64: 2.0**-52,
    torch.float32: 2.0**-23,
    torch.float16: 2.0**-10,
    torch.bfloat16: 2.0**-7,
}
_BASELINE_SHARE = 0.05  # as in evaluation.tolerance

Named = dict[str, Tensor]


@dataclass
class Content:
    """One draw of everything that a kernel reads."""

    values: list[Any]
    """Arguments of the function: tensors and plain numbers."""
    inputs: Named
    """Its tensors by argument name, then the parameters."""


class GpuReference:
    """A program loaded on the GPU with its parameters redrawn."""

    def __init__(self, program: str, seed: int, *, tf32: bool = False) -> None:
        torch.set_default_device("cuda")
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        self._program = program
        reference_run.seed_everything(seed)
        with Redirect("cuda"):
            self._loaded = reference_run.load(program)
            self._state = self._redrawn()

    def _redrawn(self) -> Named:
        model = self._loaded.model
        if model is None:
            return {}
        model.eval()
        buffers = {name.replace(".", "_") for name, _ in model.named_buffers()}
        drawn = reference_run.redraw(self._loaded.state(), buffers)
        reference_run.install(model, drawn)
        return self._loaded.state()

    def draw(self, seed: int) -> Content:
        """Fresh inputs from `seed`, the same in every process."""
        reference_run.seed_everything(seed)
        with Redirect("cuda"):
            values = self._loaded.draw()
        return Content(values, reference_run.named_inputs(self._loaded, values) | self._state)

    def arranged(self, values: list[Any]) -> list[Any]:
        """The arguments of a baseline that hold `values`."""
        return self._loaded.arranged(values)

    def baseline(self, *, compiled: bool) -> Callable[..., Any]:
        """The function to time: eager, or through torch.compile."""
        function = self._loaded.function
        return torch.compile(function) if compiled else function

    def results(self, content: Content) -> tuple[Named, Named]:
        """Outputs in the declared precision, and what is expected: float64 where memory allows."""
        with Redirect("cuda"):
            outputs = self._loaded.call(content.values)
        try:
            return outputs, self._wide(content)
        except torch.OutOfMemoryError:
            return outputs, outputs

    def _wide(self, content: Content) -> Named:
        torch.set_default_dtype(torch.float64)
        try:
            with (
                Redirect("cuda", double=True),
                reference_run.widened(self._program, self._loaded, self._state) as wide,
            ):
                return wide.call([_double(value) for value in content.values])
        finally:
            torch.set_default_dtype(torch.float32)


def excess(got: Tensor, want: Tensor, baseline: Tensor, tolerance: float) -> float:
    """Largest error as a fraction of what is allowed: `evaluation.tolerance.compare`, on the GPU."""
    if got.dtype not in _EPSILON:
        return 0.0 if torch.equal(got, want.to(got.dtype)) else float("inf")
    values, want = got.double(), want.double()
    finite = want.isfinite()
    scale = float(torch.where(finite, want, 0.0).square().mean().sqrt())
    own = float((baseline.double() - want).abs().nan_to_num(nan=0.0, posinf=0.0).max())
    allowed = (tolerance + _EPSILON[got.dtype]) * (want.abs() + scale) + min(own, _BASELINE_SHARE * scale)
    error = (values - want).abs() / allowed
    same = (values == want) | (values.isnan() & want.isnan())
    error = torch.where(same, 0.0, torch.where(values.isfinite() & finite, error, float("inf")))
    return float(error.max())


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
