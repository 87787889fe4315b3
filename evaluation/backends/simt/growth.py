"""Whether a kernel that did not finish at a large size was only too slow for the CPU.

A kernel each of whose threads loops over all elements is right, and needs n * n steps: at the larger sizes of
a problem more than a run may take. Such a size tells nothing, and the smaller ones decide; but only if the
work for each element grew with the size there, too: `if (n > 50000)` and a long loop are no way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, prod

from evaluation.backends.base import Run
from evaluation.plan import Role

_FAR = 4
"""A large size is so many times the largest that was finished."""
_LEAST_POWER, _MOST_POWER = 0.5, 2
"""Of a size, by which the work for each element grows."""
_APART = 1.2
"""Two sizes are so many times apart that they tell how work grows."""


def steps_a_thread(finished: Sequence[tuple[Run, int]], run: Run) -> float:
    """How many steps a thread of `run` may need, if the work for each element grows on; 0 if it did not.

    It did if the steps an element of the `finished` runs grew with something that is far larger in `run`.
    """
    work = [steps / _elements(other) for other, steps in finished]
    found = 0.0
    for far, *near in zip(_measures(run), *(_measures(other) for other, _ in finished), strict=True):
        if not near or far < _FAR * max(near):
            continue
        (least, little), (most, much) = min(zip(near, work, strict=True)), max(zip(near, work, strict=True))
        power = log(much / little) / log(most / least) if most >= _APART * least else 0
        if power >= _LEAST_POWER:
            found = max(
                found, much * (far / most) ** min(power, _MOST_POWER) * _elements(run) / _threads(run)
            )
    return found


def _measures(run: Run) -> Iterator[int]:
    """The elements of all tensors, and every extent."""
    yield _elements(run)
    for buffer in run.plan.buffers:
        if buffer.role is not Role.SCRATCH:
            yield from buffer.tensor.shape


def _threads(run: Run) -> int:
    return sum(prod(launch.grid) * prod(launch.block) for launch in run.plan.launches)


def _elements(run: Run) -> int:
    return sum(buffer.tensor.numel for buffer in run.plan.buffers if buffer.role is not Role.SCRATCH)
