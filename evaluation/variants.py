"""Finding small versions of a program: proposals of `evaluation.resize`, kept if they run, fit and are alike.

Proposals are tried in their order of preference, rule by rule, a few at a time; only shapes are worked out.
The same program gets the same variants on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import prod

from evaluation.problem import Tensor
from evaluation.reference import ReferencePool, Survey
from evaluation.resize import Resizer, Rule, Style, Variant

ELEMENT_CAP = 8192
"""Elements of one tensor that a variant should not exceed: simt does about 1e7 accesses a second."""
WORK_CAP = 500_000
"""Floating-point operations that a variant should not exceed."""
RELAXATION = 8
"""By how much both caps are raised where too few variants stay below them."""
WANTED = {Style.RAGGED: 3, Style.ALIGNED: 2}
"""How many variants of each style a program gets, where there are as many."""
SURVEY_LIMIT = 1 << 25
"""Input elements up to which a program may be run only to learn its shapes."""
_FIRST, _LATER = 4, 32
"""Proposals of a style that are surveyed together, under the first rule (most need no more) and others."""


def find_variants(text: str, shipped: Survey, reference: ReferencePool) -> dict[Style, list[str]]:
    """Small ragged and small aligned versions of a program, at most `WANTED`, perhaps none."""
    dimensions = {extent for tensor in shipped.inputs + shipped.parameters for extent in tensor.shape}
    resizer = Resizer(text, dimensions)
    chosen: dict[Style, list[str]] = {style: [] for style in Style}
    for relaxation in (1, RELAXATION):
        for rule in Rule if resizer.values else ():
            sources = {
                style: _promising(resizer.variants(style, rule), shipped, relaxation) for style in Style
            }
            while proposals := [
                variant
                for style in Style
                if len(chosen[style]) < WANTED[style]
                for variant in islice(sources[style], _FIRST if rule is Rule.INDEPENDENT else _LATER)
            ]:
                for variant in _working(proposals, shipped, relaxation, reference):
                    same = chosen[variant.style]
                    if len(same) < WANTED[variant.style] and variant.program not in same:
                        same.append(variant.program)
        if len(chosen[Style.RAGGED]) == WANTED[Style.RAGGED]:
            break
    return chosen


def fits(survey: Survey, relaxation: int = 1) -> bool:
    """Whether a version is small enough for the CPU, its caps raised by `relaxation`."""
    small = all(0 < tensor.numel <= relaxation * ELEMENT_CAP for tensor in survey.tensors)
    return small and survey.flops <= relaxation * WORK_CAP


def _working(
    proposals: Sequence[Variant], shipped: Survey, relaxation: int, reference: ReferencePool
) -> Iterator[Variant]:
    """The proposals that run, fit and are still the same program at other sizes."""
    surveys = reference.survey([item.program for item in proposals], SURVEY_LIMIT)
    for item, survey in zip(proposals, surveys, strict=True):
        if (
            isinstance(survey, Survey)
            and fits(survey, relaxation)
            and resized(shipped, survey, dict(item.sizes))
        ):
            yield item


def _promising(proposals: Iterator[Variant], shipped: Survey, relaxation: int) -> Iterator[Variant]:
    """The proposals whose inputs are small enough, going by their shapes alone: saves most surveys."""
    cap = relaxation * ELEMENT_CAP
    for item in proposals:
        sizes = dict(item.sizes)
        if all(prod(sizes.get(extent, 1) for extent in tensor.shape) <= cap for tensor in shipped.inputs):
            yield item


def resized(shipped: Survey, variant: Survey, sizes: Mapping[int, int]) -> bool:
    """Whether `variant` is `shipped` with the dimensions in `sizes` mapped.

    Every tensor keeps its name, rank and dtype; dimensions of inputs follow the mapping, those of 1 stay 1
    and those that the program computes are free; the outputs change unless they are single numbers.
    """
    if [_kind(tensor) for tensor in shipped.tensors] != [_kind(tensor) for tensor in variant.tensors]:
        return False
    followed = {1: 1} | dict(sizes)
    for old, new in zip(shipped.inputs, variant.inputs, strict=True):
        pairs = zip(old.shape, new.shape, strict=True)
        if any(extent in followed and followed[extent] != other for extent, other in pairs):
            return False
    changed = any(old.shape != new.shape for old, new in zip(shipped.outputs, variant.outputs, strict=True))
    return changed or all(tensor.numel == 1 for tensor in shipped.outputs)


def _kind(tensor: Tensor) -> tuple[str, str, int]:
    return tensor.name, tensor.dtype, len(tensor.shape)
