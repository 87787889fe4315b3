"""Which of a problem's larger sizes one candidate is judged at: beyond its own constants, as the CPU allows.

`if (n > 100000) return`, a shared row of 256, a grid of 16 blocks or a counter of 16 bits are right at sizes
that do not reach them. So for every extent of an input or parameter, and for the number of elements, a
candidate gets the largest size that it runs at little cost, and one beyond all of its numbers, up to the
shipped size itself, where that is not too dear. Cost is threads, which
are known from its plan; threads that wait for others cost more.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod

from evaluation.candidate import Candidate
from evaluation.plan import Plan, plan
from evaluation.problem import Instance, Problem, Tensor
from evaluation.verdict import Refusal

_CHEAP = 100_000
"""Cost of all larger sizes together that every candidate gets: about 20 ms."""
_DEAR = 450_000
"""Cost of one size that a candidate gets because of its constants, or now and then by chance."""
_DEAREST = 3_300_000
"""The same where a constant is as large as `_MANY`, which few kernels have."""
_MANY = 200_000
_CHANCE = 0.25
_WAITING = 5
"""How much more a thread costs that waits at barriers."""
_NUMBER = re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]{1,16}|\d{1,18}(?:\.\d*)?(?:[eE]\+?\d{1,2})?)")
_SHIFT = re.compile(r"(\d{1,9})[uUlL]*\s*(<<|\*)\s*(\d{1,9})")
_HALVED = re.compile(r">>\s*(\d{1,2})\b")
_NARROW = {r"\w*char\b|u?int8_t": 4 * 255, r"\w*short\d?\b|u?int16_t": 4 * 65535}
"""Integer types that are counters of few bits, and what they have to be tried with: what is counted may be a
quarter of the elements."""

_ITEMS = (1, 2, 4, 8)
"""Elements that a thread may be meant for."""

Measure = Callable[[Instance], int]


def beyond(problem: Problem, candidate: Candidate, secret: str) -> list[int]:
    """Positions in the problem's ladder; a function of its arguments alone."""
    ladder = problem.ladder
    costs = [_cost(candidate, instance) for instance in ladder]
    numbers = constants(candidate.source) | _reach(candidate, [*problem.checks, problem.shipped])
    cheap = _DEAR if random.Random(f"{secret}/{candidate.source}").random() < _CHANCE else _CHEAP
    measures = _telling(_measures(problem.shipped), [problem.shipped, *problem.checks, *ladder])
    found: set[int] = set()
    for measure in measures:
        reached = max(map(measure, problem.checks), default=0)
        most = measure(problem.shipped)
        higher = [index for index, instance in enumerate(ladder) if measure(instance) > reached]
        shorter = [index for index in higher if measure(ladder[index]) <= most]
        usual = [index for index in shorter if costs[index] <= cheap / len(measures)]
        best = max(usual, key=lambda index: measure(ladder[index]), default=None)
        if best is not None:
            found.add(best)
            reached = measure(ladder[best])
        needed = max((number for number in numbers if number <= most), default=0)
        if reached <= needed:
            limit = _DEAR if needed < _MANY else _DEAREST
            dear = [index for index in higher if costs[index] <= limit and measure(ladder[index]) > reached]
            enough = [index for index in dear if measure(ladder[index]) > needed]
            if dear:
                longest = max(dear, key=lambda index: measure(ladder[index]))
                found.add(min(enough, key=lambda index: costs[index], default=longest))
    return sorted(found)


def constants(source: str) -> set[int]:
    """The numbers that a source could compare a size with: written, shifted, multiplied, or of a type."""
    texts = _NUMBER.findall(source)
    found = {int(text, 16) if text[:2] in ("0x", "0X") else int(float(text)) for text in texts}
    for left, sign, right in _SHIFT.findall(source):
        found.add(int(left) * int(right) if sign == "*" else int(left) << min(int(right), 63))
    found |= {1 << int(bits) for bits in _HALVED.findall(source)}
    return found | {most for name, most in _NARROW.items() if re.search(rf"\b(?:{name})", source)}


def _measures(shipped: Instance) -> Iterator[Measure]:
    """Every extent of an input, and the elements of the largest."""
    for position, tensor in enumerate(_read(shipped)):
        for axis in range(len(tensor.shape)):
            yield partial(_extent, position, axis)
    if max((len(tensor.shape) for tensor in shipped.inputs), default=0) > 1:
        yield lambda instance: max(tensor.numel for tensor in instance.inputs)


def _telling(measures: Iterator[Measure], instances: Sequence[Instance]) -> list[Measure]:
    """Those that differ among the instances, each once."""
    found = {tuple(map(measure, instances)): measure for measure in measures}
    return [measure for values, measure in found.items() if len(set(values)) > 1]


def _read(instance: Instance) -> tuple[Tensor, ...]:
    return (*instance.inputs, *instance.parameters)


def _extent(position: int, axis: int, instance: Instance) -> int:
    return _read(instance)[position].shape[axis]


def _reach(candidate: Candidate, instances: Sequence[Instance]) -> set[int]:
    """How many elements along an axis the launches that are the same at all instances may be meant for."""
    plans = [planned for planned in map(partial(plan, candidate), instances) if isinstance(planned, Plan)]
    launches = [{(launch.grid, launch.block) for launch in planned.launches} for planned in plans]
    return {
        blocks * threads * items
        for grid, block in (set.intersection(*launches) if launches else ())
        for blocks, threads in zip(grid, block, strict=True)
        for items in _ITEMS
    }


def _cost(candidate: Candidate, instance: Instance) -> float:
    """What the candidate costs at these sizes; infinite where it cannot be launched."""
    planned = plan(candidate, instance)
    if isinstance(planned, Refusal):
        return float("inf")
    threads = sum(prod(launch.grid) * prod(launch.block) for launch in planned.launches)
    elements = sum(buffer.tensor.numel for buffer in planned.buffers)
    return threads * (_WAITING if "sync" in candidate.source else 1) + elements / 5
