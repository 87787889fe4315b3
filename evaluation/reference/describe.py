"""What a reference program takes and gives, and whether its outputs are worth computing.

Runs inside the confined child, as `evaluation.reference.execute` does. An output that is constant, zero or a
copy of an input would let a kernel pass that computes nothing; one that differs between runs or
between precisions lets no kernel be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evaluation.reference.draw import Draw, Kind
from evaluation.reference.execute import Named, seed_everything, specifications
from evaluation.reference.syntax import ProgramError
from evaluation.reference.trial import Run, largest, run

_SPREAD = 1e-9
"""Relative difference below which float64 values count as equal."""
_ZERO = 1e-12
"""Absolute value below which a float64 value is rounding noise around zero."""


def describe(program: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Tensors of `program` and its flags, compared over two seeds.

    What is degenerate for the program's own inputs (relu of numbers from 0 to 1) is looked at on wider ones.
    """
    first = run(program, Draw(Kind.OWN, seeds[0]))
    second = run(program, Draw(Kind.OWN, seeds[1]), bounded=False)
    seed_everything(seeds[1])
    _require_determinism(first, first.content.outputs())
    flags = _flags(first, second)
    if first.finite and not flags["zero"]:
        _require_agreement(first)
    for kind in (Kind.SIGNED, Kind.LARGE, Kind.BELOW):
        if not any(flags.values()):
            break
        wider = run(program, Draw(kind, seeds[1]))
        if wider.bounds is not None:
            flags = {name: raised and flags[name] for name, raised in _flags(first, wider).items()}
    return {
        "inputs": specifications(first.inputs),
        "parameters": specifications(first.parameters),
        "outputs": specifications(first.outputs),
        "finite": first.finite and second.finite,
        **flags,
    }


def _flags(first: Run, second: Run) -> dict[str, bool]:
    """What makes a problem worthless, if it does so on both draws."""
    pairs = [(value, second.expected[name]) for name, value in first.expected.items()]
    return {
        "zero": any(_is_zero(one) and _is_zero(other) for one, other in pairs),
        "constant": any(_is_constant(one, other) for one, other in pairs),
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
    undetermined = result.undetermined()
    if undetermined is not None:
        raise ProgramError(
            f"most of output `{undetermined}` follows from rounding, or from ties that may be broken either "
            "way; no kernel could be judged by it"
        )


def _is_zero(value: Tensor) -> bool:
    return largest(value) <= _ZERO


def _equal(left: Tensor, right: Tensor) -> bool:
    """Equality up to rounding in float64; NaN equals nothing."""
    left, right = left.double(), right.double()
    return bool(((left - right).abs() <= _SPREAD * largest(right)).all())


def _is_constant(first: Tensor, second: Tensor) -> bool:
    """Whether the values are the same for other inputs, or the same everywhere for both."""
    return _equal(first, second) or (_is_even(first) and _is_even(second))


def _is_even(value: Tensor) -> bool:
    flat = value.flatten()
    return flat.numel() > 1 and _equal(flat, flat[0].expand_as(flat))


def _copies(name: str, result: Run) -> bool:
    output = result.expected[name].flatten()
    candidates = [value.flatten() for value in result.inputs.values() if value.numel() == output.numel()]
    return any(_equal(output, value) for value in candidates)
