"""What a program is run on: its own inputs, and the same ones drawn wider (`evaluation.reference.draw.Kind`).

What the program's own inputs always are, they stay: integers, masks, labels, ramps, zeros, probabilities,
unit vectors, sorted, symmetric. Whether a wider draw is of any use is for `evaluation.reference.trial` to
say: it is tried from the widest on, and kept only if the program can be judged there. Works on any device;
all numbers come from a generator of its own, so a program that seeds torch itself knows none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from evaluation.reference.draw import Kind

Named = dict[str, Tensor]

_COMPARES = re.compile("max|min|pool|sort|topk|entropy|logsumexp|median|kthvalue|attention", re.IGNORECASE)
"""What a program says that compares values with each other."""
_MULTIPLIES = re.compile("@|matmul|mm|einsum|attention|Linear", re.IGNORECASE)
_FEW_SLICES = 32
"""One slice of so many lies far from zero."""
_FACTOR = 30.0
"""How many times as large factors are whose product shall be far below zero."""


class Far(StrEnum):
    """What lies far from zero: a maximum that starts at -1000 is right where anything is larger."""

    NOTHING = "nothing"
    SLICES = "slices"  #: a few rows, planes, ...
    ALL = "all"  #: every element, for what is reduced to one
    FACTORS = "factors"  #: of opposite signs, so that all scores of attention are far below zero


@dataclass(frozen=True)
class Width:
    """One attempt at a kind of draw."""

    kind: Kind
    reach: float = 1.0
    """Exponent of the factors; below 1 there are no ties and no constant rows either."""
    keeps_sign: bool = False
    """Whether inputs that the program draws without negative values stay so (logarithms, roots)."""
    keeps_buffers: bool = False
    """Whether buffers stay as the program makes them."""
    far: Far = Far.NOTHING


def attempts(kind: Kind, program: str = "") -> Iterator[Width]:
    """From the widest to the program's own inputs, which every kind ends with."""
    if kind in (Kind.BELOW, Kind.ABOVE) and _COMPARES.search(program):
        if kind is Kind.ABOVE and _MULTIPLIES.search(program):
            yield Width(kind, far=Far.FACTORS)
        yield Width(kind, far=Far.ALL)
        yield Width(kind, far=Far.SLICES)
    if kind is not Kind.OWN:
        for reach in (1.0, 0.75, 0.5, 0.25):
            yield Width(kind, reach)
            yield Width(kind, reach, keeps_sign=True)
    yield Width(Kind.OWN)
    yield Width(Kind.OWN, keeps_buffers=True)


class Generator:
    """Random numbers that nothing else draws from."""

    def __init__(self, seed: int, device: torch.device | str) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers in float64, from as many float32 ones."""
        return torch.randn(shape, generator=self._generator, **self._single).double()

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers from 0 to 1, as `normal`."""
        return torch.rand(shape, generator=self._generator, **self._single).double()

    def between(self, low: float, high: float) -> float:
        """One number from `low` to `high`."""
        return low + (high - low) * float(self.uniform(()))

    @property
    def _single(self) -> dict[str, Any]:
        return {"dtype": torch.float32, "device": self._generator.device}


def is_exact(value: Any) -> bool:
    """Whether `value` is no draw of real numbers: labels and masks, also those kept as floats."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or not value.numel():
        return True
    return bool((value == value.round()).all())


def wider(own: Sequence[Any], again: Sequence[Any], width: Width, generator: Generator) -> list[Any]:
    """Inputs of a kind; `own` and `again` are two draws by the program itself, which show their structure."""
    if width.kind is Kind.OWN:
        return list(own)
    factor = _factor(width, generator)
    kind, other_kind = Kind.BELOW, Kind.ABOVE
    found = []
    for value, other in zip(own, again, strict=True):
        if is_exact(value) or _is_made(value, other):
            found.append(value)
            continue
        if width.far is Far.FACTORS:
            width = replace(width, kind=kind)
            kind, other_kind = other_kind, kind
        found.append(_wider(value, other, width, factor, generator))
    return found


def redrawn(state: Named, buffers: set[str], width: Width, generator: Generator) -> Named:
    """Random values for every floating-point parameter, so that none can be neglected.

    A constant tensor (weights of 1, biases of 0) is spread around its value, others keep their range or their
    mean and deviation; masks and integers stay as they are. A buffer keeps its sign: it may be a variance.
    """
    small = _factor(width, generator) if width.kind is Kind.TINY else 1.0
    return {
        name: tensor
        if name in buffers and width.keeps_buffers
        else _redrawn(tensor, name in buffers, width, small, generator)
        for name, tensor in state.items()
    }


def _redrawn(tensor: Tensor, is_buffer: bool, width: Width, small: float, generator: Generator) -> Tensor:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return tensor
    wide = tensor.double()
    low, high = wide.min(), wide.max()
    if is_buffer and low != high and wide.unique().numel() == 2:
        return tensor
    uniform = generator.uniform(tensor.shape)
    if low == high:
        drawn = (uniform - 0.5) * small if low == 0 else low * (0.5 + uniform)
        if width.kind is Kind.SIGNED and not is_buffer and not width.keeps_sign:
            drawn = torch.where(generator.uniform(tensor.shape) < 0.5, drawn, -drawn)
    elif low >= 0:
        drawn = low + uniform * (high - low)
    else:
        drawn = wide.mean() + wide.std() * generator.normal(tensor.shape)
    return (drawn * small if is_buffer and low >= 0 else drawn).to(tensor.dtype)


def _factor(width: Width, generator: Generator) -> float:
    """How much larger or smaller than usual all inputs are."""
    exponent = {Kind.LARGE: (1.3, 2.5), Kind.TINY: (-4.0, -2.0)}.get(width.kind, (-0.3, 0.3))
    return float((10 ** generator.between(*exponent)) ** width.reach)


def _is_made(own: Tensor, again: Tensor) -> bool:
    """Whether an input is the same in every draw and follows a rule: a constant, a mask, a ramp."""
    if not torch.equal(own, again):
        return False
    return own.numel() < 3 or own.unique().numel() <= 2 or _sorted_axis(own) is not None


def _wider(own: Tensor, again: Tensor, width: Width, factor: float, generator: Generator) -> Tensor:
    """Other values for one input, with the structure of its own."""
    samples = [value.double().nan_to_num(0.0, 0.0, 0.0) for value in (own, again)]
    drawn = _values(samples[0], width, factor, generator)
    if width.keeps_sign and samples[0].min() >= 0:
        drawn = drawn.abs()
    drawn = _structured(samples, drawn)
    kept = (own == 0) | ~own.isfinite()
    limit = torch.finfo(own.dtype).max / 4
    values = (
        drawn.clamp(-limit, limit).to(own.dtype) + 0.0
    )  # no -0.0: few kernels tell zeros apart, and none must
    return torch.where(kept, own, values).contiguous()


def _values(own: Tensor, width: Width, factor: float, generator: Generator) -> Tensor:
    normal, size = generator.normal(own.shape), float(own.square().mean().sqrt())
    unit = max(size, 1.0) * factor
    if width.far is Far.FACTORS:
        return (_FACTOR if width.kind is Kind.ABOVE else -_FACTOR) * size * normal.abs()
    if width.far is not Far.NOTHING:
        return _far(normal.abs(), unit, width, generator) * (1 if width.kind is Kind.ABOVE else -1)
    if width.kind is Kind.BELOW:
        return -unit * normal.abs()
    if width.kind is Kind.ABOVE:
        return unit * (normal.abs() + float(generator.between(1, 8) ** width.reach))
    if width.kind is Kind.LARGE:
        outliers = generator.uniform(own.shape) < 0.01
        values = torch.where(outliers, 30**width.reach * normal, normal) * unit
        for slices, index in _some_slices(values, generator):
            slices[index] = -20 * unit - slices[index].abs()
        return values
    if width.kind is Kind.TINY:
        return normal * (min(size, 1.0) * factor)
    return _with_ties(3 * unit * normal, generator) if width.reach == 1 else 3 * unit * normal


def _far(normal: Tensor, unit: float, width: Width, generator: Generator) -> Tensor:
    """Positive values of which some, or all, are 12 000 or more; a number of 16 bits may be as large as that.

    They lie as far apart, so that rounding does not decide which is the largest.
    """
    far = 10 ** generator.between(4.08, 4.15) * (1 + normal / 3)
    if width.far is Far.ALL:
        return far
    values = unit * normal
    for view, others in zip(_views(values), _views(far), strict=True):
        drawn = generator.uniform(view.shape[:1])
        if len(drawn) > 1:
            index = drawn.argsort()[: max(1, len(drawn) // _FEW_SLICES)]
            view[index] = others[index]
    return values


def _with_ties(values: Tensor, generator: Generator) -> Tensor:
    """Multiples of a power of two (sums of them are exact), in some slices the same one or zero."""
    if not values.numel():
        return values
    grid = 2.0 ** float(values.abs().mean().clamp(min=1e-30).log2().round() - 4)
    values = (values / grid).round() * grid
    for slices, index in _some_slices(values, generator):
        constant = slices.reshape(len(slices), -1)[:, 0] * (generator.uniform(slices.shape[:1]) < 0.5)
        slices[index] = constant[index].reshape(-1, *[1] * (slices.ndim - 1)).expand_as(slices[index])
    return values


def _some_slices(values: Tensor, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Of batches, planes, ... an eighth by index."""
    for view in _views(values):
        drawn = generator.uniform(view.shape[:1])
        yield view, ((drawn < 1 / 8) | ((drawn == drawn.min()) & (len(drawn) > 3))).nonzero().flatten()


def _views(values: Tensor) -> list[Tensor]:
    """Batches, planes, rows, ... and the channels along the second axis, each along a view's first axis."""
    views = [values.flatten(0, axis) for axis in range(values.ndim - 1)]
    return [*views, values.movedim(1, 0)] if values.ndim > 1 else views


def _structured(samples: Sequence[Tensor], drawn: Tensor) -> Tensor:
    """`drawn` made a distribution, of unit length, symmetric or sorted, if all `samples` are."""
    own = samples[0]
    for axis in range(own.ndim if own.numel() > 1 else 0):
        if all(sample.min() >= 0 and _are_ones(sample.sum(axis)) for sample in samples):
            return drawn.softmax(axis)
        if all(_are_ones(sample.square().sum(axis)) for sample in samples):
            return drawn / drawn.square().sum(axis, keepdim=True).sqrt().clamp(min=1e-30)
    if own.ndim > 1 and own.shape[-1] == own.shape[-2] > 1 and torch.equal(own, own.mT):
        return (drawn + drawn.mT) / 2
    sorted_axis = _sorted_axis(own)
    if sorted_axis is None:
        return drawn
    falling = bool((own.diff(dim=sorted_axis) <= 0).all())
    return drawn.sort(sorted_axis, descending=falling).values


def _are_ones(sums: Tensor) -> bool:
    return bool(((sums - 1).abs() < 1e-2).all())


def _sorted_axis(value: Tensor) -> int | None:
    """An axis of at least eight elements along which all go up, or all go down."""
    for axis in range(value.ndim):
        steps = value.diff(dim=axis)
        if value.shape[axis] >= 8 and (bool((steps >= 0).all()) or bool((steps <= 0).all())):
            return axis
    return None
