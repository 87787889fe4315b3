"""Sizes for what a kernel does at a residue: `i % 97 == 5` may show at sizes that end there only.

Sizes are drawn before a candidate is known, so one that leaves out an element of the tail at a rare residue
would pass by luck. The residues that a source names are few: a problem's smallest check size is drawn anew
so that an extent, and its last index, have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from evaluation.problem import Instance, Problem
from evaluation.programs.program import SizeNames, instances_of
from evaluation.programs.resize import Resizer, Size
from evaluation.reference.pool import ReferencePool

_MOST = 8
"""Instances for one candidate."""
_ELEMENTS = 70_000
"""Most elements of an input at such a size."""
_REMAINDER = re.compile(r"%\s*\(?\s*(\d{1,5}|[A-Za-z_]\w*)\b|(?<!&)&\s*\(?\s*(\d{1,5})\b")
_COMPARED = re.compile(r"[=!<>]=?\s*(\d{1,5})\b")
_SHIFTED = re.compile(r"([+-])\s*(\d{1,5})[uUlL]*\s*\)\s*%")
_NAMED = re.compile(r"\b([A-Za-z_]\w*)\s*(?:=|\s)\s*(\d{1,5})\b")


def residues(source: str) -> list[tuple[int, int]]:
    """Moduli and the residues that a source may compare with, the rare ones first.

    First and last lanes of the usual groups of threads are in every kernel, and no size shows more of them.
    """
    named = {name: int(value) for name, value in _NAMED.findall(source)}
    moduli: set[int] = set()
    for modulus, mask in _REMAINDER.findall(source):
        value = int(mask) + 1 if mask else int(modulus) if modulus.isdigit() else named.get(modulus, 0)
        moduli.add(value)
    written = {int(text) for text in _COMPARED.findall(source)}
    shifts = {0, *(int(text) * (1 if sign == "-" else -1) for sign, text in _SHIFTED.findall(source))}
    found = [
        (modulus, residue)
        for modulus in moduli
        for residue in {(value + shift) % modulus for value in written if value < modulus for shift in shifts}
        if modulus > 2 and not (_is_usual(modulus) and residue in (0, 1, modulus - 1))
    ]
    return sorted(found, key=lambda pair: (_is_usual(pair[0]), -pair[0], pair[1]))


def at_residues(problem: Problem, source: str, reference: ReferencePool) -> list[Instance]:
    """The smallest check instance at the residues of `source`: nothing where its sizes cannot take them."""
    pairs = residues(source)
    if not pairs or problem.unresizable or not problem.checks:
        return []
    base = min(problem.checks, key=lambda one: sum(tensor.numel for tensor in one.inputs))
    fixed = {size.value for size in _resizer(problem.shipped).sizes if not size.name}
    programs = list(dict.fromkeys(_programs(base, pairs, fixed)))[:_MOST]
    names = SizeNames(problem.shipped.program, problem.shipped.inputs)
    return [
        found
        for found in instances_of(programs, reference.describe_many(programs), names)
        if [len(tensor.shape) for tensor in found.inputs] == [len(tensor.shape) for tensor in base.inputs]
    ]


def _resizer(instance: Instance) -> Resizer:
    tensors = instance.inputs + instance.parameters
    return Resizer(instance.program, {extent for tensor in tensors for extent in tensor.shape})


def _programs(base: Instance, pairs: list[tuple[int, int]], fixed: set[int]) -> Iterator[str]:
    """Every size in turn at every residue, its last index first; the last sizes come first.

    A literal that is the same in the shipped program (one of the `fixed`) is no size: the length of a window
    stays as it is, though a size is as long here.
    """
    resizer = _resizer(base)
    groups = [
        tuple(size for size in group if size.name or size.value not in fixed) for group in _groups(resizer)
    ]
    for modulus, residue in pairs:
        for ends in (residue + 1, residue):
            for group in reversed([group for group in groups if group]):
                value = group[0].value
                new = value + (ends - value) % modulus
                larger = new if new > 1 else new + modulus
                most = max(prod(tensor.shape) for tensor in base.inputs) * larger / value
                if most <= _ELEMENTS and larger != value:
                    yield resizer.rewrite(dict.fromkeys(group, larger))


def _groups(resizer: Resizer) -> list[tuple[Size, ...]]:
    scope = next(resizer.scopes(), ())
    return resizer.grouped(scope, True)


def _is_usual(modulus: int) -> bool:
    return modulus & (modulus - 1) == 0
