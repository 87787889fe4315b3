"""How a minibatch is divided over data-parallel ranks and micro-batches.

All ranks hold the whole minibatch (it is small beside the model) and divide it by the same rule, so that
nothing about it has to be communicated.
"""

from __future__ import annotations

from collections.abc import Sequence


def deal(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """Deal indices to ranks, longest first and back and forth, so that all get about the same work.

    Each rank's indices are in order of falling length, so that consecutive ones make micro-batches with
    little padding.
    """
    shares: list[list[int]] = [[] for _ in range(ranks)]
    for turn, index in enumerate(_longest_first(lengths)):
        lap, seat = divmod(turn, ranks)
        shares[seat if lap % 2 == 0 else ranks - 1 - seat].append(index)
    return shares


def chunks(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    """Split indices into consecutive pieces of at most `size`."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def balance(costs: Sequence[float], ranks: int) -> list[list[int]]:
    """Give indices to ranks, dearest first, always to the rank that has least so far.

    The dearest rank's sum is at most 4/3 of the least possible (Graham, "Bounds on multiprocessing timing
    anomalies", 1969).
    """
    shares: list[list[int]] = [[] for _ in range(ranks)]
    sums = [0.0] * ranks
    for index in _longest_first(costs):
        rank = min(range(ranks), key=sums.__getitem__)
        shares[rank].append(index)
        sums[rank] += costs[index]
    return shares


def fill(indices: Sequence[int], sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Put indices into as few bins as first-fit decreasing needs, none above `capacity`.

    An index whose size alone is above it gets a bin of its own.
    """
    bins: list[list[int]] = []
    rooms: list[int] = []
    for index in sorted(indices, key=lambda index: (-sizes[index], index)):
        place = next((place for place, room in enumerate(rooms) if room >= sizes[index]), None)
        if place is None:
            bins.append([index])
            rooms.append(capacity - sizes[index])
        else:
            bins[place].append(index)
            rooms[place] -= sizes[index]
    return bins


def sequence_cost(tokens: int, linear: float) -> float:
    """Estimated work on a sequence, in units of one attended position: tokens * (linear + tokens).

    `linear` is how many attended positions cost as much as one token's matrix products: a token costs 2 FLOPs
    per weight, and 2 * heads * head_dim per layer and position, for it attends to half the sequence on
    average.
    """
    return tokens * (linear + tokens)


def _longest_first(sizes: Sequence[float]) -> list[int]:
    return sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
