"""What a reference program takes and gives, and whether its outputs are worth computing.

Runs inside the confined child, as `evaluation.reference_run` does. An output that is constant, zero or a
copy of an input would let a kernel pass that computes nothing; one that differs between runs or
between precisions lets no kernel be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evaluation.reference_run import Named, Run, largest, repeat, run, specifications
from evaluation.syntax import ProgramError

_SPREAD = 1e-9
"""Relative difference below which float64 values count as equal."""
_ZERO = 1e-12
"""Absolute value below which a float64 value is rounding noise around zero."""


def describe(program: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Tensors of `program` and its flags, compared over two seeds; see `evaluation.reference.Description`."""
    first, second = (run(program, seed) for seed in seeds)
    _require_determinism(first, repeat(program, seeds[0], noise=1))
    zero = any(_is_zero(first.expected[name]) and _is_zero(second.expected[name]) for name in first.expected)
    finite = first.finite and second.finite
    if finite and not zero:
        _require_agreement(first)
    return {
        "inputs": specifications(first.inputs),
        "parameters": specifications(first.parameters),
        "outputs": specifications(first.outputs),
        "finite": finite,
        "zero": zero,
        "constant": any(_is_constant(first.expected[name], second.expected[name]) for name in first.expected),
        "copies_input": any(_copies(name, first) and _copies(name, second) for name in first.expected),
    }


def _require_determinism(first: Run, again: Named) -> None:
    for name, value in first.outputs.items():
        if not torch.equal(value.nan_to_num(), again[name].nan_to_num()):
            raise ProgramError(
                f"output `{name}` is not the same for the same inputs; remove what is random (as dropout is)"
            )


def _require_agreement(result: Run) -> None:
    name = result.disagreement()
    if name is not None:
        raise ProgramError(
            f"output `{name}` differs by {result.errors()[name]:.2g} from its float64 value, whose largest "
            f"element is {largest(result.expected[name]):.2g}; no kernel could be judged by it"
        )


def _is_zero(value: Tensor) -> bool:
    return largest(value) <= _ZERO


def _equal(left: Tensor, right: Tensor) -> bool:
    """Equality up to rounding in float64; NaN equals nothing."""
    left, right = left.double(), right.double()
    return bool(((left - right).abs() <= _SPREAD * largest(right)).all())


def _is_constant(first: Tensor, second: Tensor) -> bool:
    """Whether the values are the same for other inputs, or the same everywhere."""
    flat = first.flatten()
    return _equal(first, second) or (flat.numel() > 1 and _equal(flat, flat[0].expand_as(flat)))


def _copies(name: str, result: Run) -> bool:
    output = result.expected[name].flatten()
    candidates = [value.flatten() for value in result.inputs.values() if value.numel() == output.numel()]
    return any(_equal(output, value) for value in candidates)
