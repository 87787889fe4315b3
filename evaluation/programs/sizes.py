"""Drawing the extents that a kernel is judged at: from ranges and a seed, not from a list that can be learnt.

    small     off the usual blocks, a few thousand elements
    long      one size past every usual constant, the others tiny
    large     many elements, the last size first
    aligned   multiples of the usual blocks

No extent goes beyond the shipped one but for small sizes, and but for one that shows a kernel which was
written for the shipped size alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

SMALL = 16
"""Extents up to this are batches, channels or windows, and stay small."""
RUNGS = (260, 1_050, 4_150, 16_500, 70_000, 200_001, 1_060_000, 2_110_000)
"""Where the long and the large sizes begin: past blocks, past grids, past 16, 20 and 21 bits."""
_PRODUCT = 2048
"""Product of two small sizes, or of one; every further size doubles it."""
_SPREAD = 1.1
"""A rung is drawn from its beginning to so many times that."""


def ragged(low: int, high: int, rng: random.Random) -> int:
    """A number from `low` to `high`, off the multiples of 8 if there is one.

    More often than not it is next to a multiple of 16, where loops over tiles end too early or too late.
    """
    drawn = [rng.randint(low, max(low, high)) for _ in range(8)]
    return min(drawn, key=lambda value: (value % 16 not in (1, 15), value % 8 == 0))


def small(count: int, rng: random.Random, scale: float = 1.0) -> list[int]:
    """`count` ragged extents whose product is some thousands (times `scale`), different if possible.

    The first, most often rows or a batch, is the smallest on average: blocks of threads for it are dear.
    """
    product = scale * _PRODUCT * 2 ** max(0, count - 2)
    weights = [rng.uniform(0.5, 1.0) if index == 0 else rng.uniform(0.7, 1.4) for index in range(count)]
    found: list[int] = []
    for weight in weights:
        near = product ** (weight / sum(weights))
        drawn = [ragged(max(2, round(0.8 * near)), max(3, round(near)), rng) for _ in range(8)]
        found.append(next((value for value in drawn if value not in found), drawn[0]))
    return found


def tiny(count: int, rng: random.Random, least: int) -> list[int]:
    """`count` extents of a few elements from `least` on, in no order."""
    values = [least, least + 1, least + 3, least + 5]
    return [values[index % len(values)] for index in rng.sample(range(max(count, 3)), count)]


def rungs(shipped: int, rng: random.Random) -> list[int]:
    """Extents for one long size, rising, the last around the shipped extent if that is affordable."""
    found = [ragged(rung, round(rung * _SPREAD), rng) for rung in RUNGS if rung * _SPREAD < shipped]
    last = found[-1] if found else 1.5 * SMALL
    if last * _SPREAD < shipped <= RUNGS[-1]:
        found.append(ragged(shipped - max(1, shipped // 32), shipped - 1, rng))
    if SMALL < shipped <= RUNGS[-1]:
        found.append(ragged(shipped + 1, shipped + max(8, shipped // 32), rng))
    return found


def filled(elements: int, shipped: Sequence[int], rng: random.Random) -> list[int]:
    """Extents of some `elements` together: the last as long as shipped, the one before as long as needed."""
    found: list[int] = []
    left = elements
    for position, extent in enumerate(reversed(shipped)):
        others = len(shipped) - position - 1
        most = max(3, min(extent - 1, left // 3**others))
        drawn = (most - most // 16, most) if others else (most, min(extent - 1, most + most // 16))
        found.insert(0, ragged(max(3, drawn[0]), drawn[1], rng) if most > 3 else 3)
        left = max(1, -(-left // found[0]))
    return found


def aligned(shipped: Sequence[int], rng: random.Random, bits: int) -> list[int]:
    """Extents as round as the shipped ones, multiples of 2 up to the `bits`; a lone one of more."""
    most = bits if len(shipped) > 1 else 2 * bits
    found = []
    for extent in shipped:
        power = extent & -extent
        block = min(power, 1 << most)
        factors = [factor for factor in (1, 3) if block * factor <= extent] if bits < 7 else [1]
        found.append(block * rng.choice(factors) if block > 1 else ragged(3, 1 << bits, rng))
    return found
