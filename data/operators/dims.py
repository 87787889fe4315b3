"""Kinds of dimensions, and the extents that a dimension of each kind is judged and shipped at.

By convention a dimension's name says its kind (`KINDS`); an operator that means another says so in its
`dims`. Small extents are for a CPU: a check of all dimensions together has a few thousand elements.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Where the extents of a dimension are drawn from."""

    shipped: tuple[int, ...]
    """What a shipped program may have."""
    checks: tuple[int, int]
    """Near these, off the usual blocks, a kernel is judged: at the first of all dimensions together, and at
    the second."""
    narrow: int
    """At which an input shows whose influence is lost at the usual ones: in a long row the extremes of one
    input can hide all of the other."""
    aligned: tuple[int, int]
    """Small multiples of the usual blocks: exact grids are right here."""


#: Of a tensor that has no other dimension.
VECTOR = Kind((1 << 20, 1 << 22, 1 << 24, 3_000_000, 10_000_000), (1000, 4133), 67, (1024, 2048))
#: Of a matrix. No two kinds that meet share a shipped extent, so that a shape can be told from its numbers.
ROWS = Kind((4096, 8192, 16384), (37, 70), 67, (64, 128))
COLUMNS = Kind((512, 1024, 2048, 1536), (45, 64), 3, (48, 32))
#: Of a matrix product [m, k] x [k, n].
PRODUCT_ROWS = Kind((1024, 2048, 4096), (19, 33), 19, (32, 16))
PRODUCT_COLUMNS = Kind((768, 1536, 3072), (37, 20), 3, (48, 32))
INNER = Kind((512, 640, 896), (23, 45), 5, (16, 64))
#: Of a product of a tall matrix and a narrow one.
TALL = Kind((16384, 32768), (41, 70), 19, (32, 64))
SKINNY = Kind((16, 24, 48), (7, 19), 3, (16, 32))
#: What is summed over where little else is.
DEEP = Kind((65536, 131072), (500, 1003), 19, (64, 512))
#: Of a matrix that programs make of its diagonal.
DIAGONAL = Kind((640, 896), (37, 70), 67, (64, 128))
#: Of images and other fields: how many, channels in and out, and positions in up to three directions.
BATCH = Kind((4, 8, 16), (2, 3), 3, (2, 4))
CHANNELS = Kind((24, 48, 96), (5, 3), 3, (8, 4))
CHANNELS_OUT = Kind((40, 64, 128), (6, 7), 5, (8, 16))
DEPTH = Kind((12, 20), (7, 6), 6, (8, 8))
HEIGHT = Kind((56, 112), (13, 17), 11, (16, 16))
WIDTH = Kind((60, 120), (17, 11), 7, (16, 32))
LENGTH = Kind((2000, 4000, 5000), (61, 90), 29, (64, 128))
#: Of volumes, where three directions make many elements of few positions.
VOLUME: dict[str, Kind] = {
    "b": Kind((2, 4), (2, 3), 3, (2, 4)),
    "c": Kind((6, 12, 24), (3, 2), 2, (4, 2)),
    "o": Kind((5, 10, 32), (2, 3), 3, (4, 2)),
    "d": Kind((10, 20), (4, 5), 4, (4, 8)),
    "h": Kind((14, 28), (6, 5), 5, (8, 4)),
    "w": Kind((16, 32), (7, 6), 5, (8, 16)),
}
#: Of attention: heads, positions of queries and of keys, and features of a head.
HEADS = Kind((6, 12), (3, 2), 3, (2, 4))
QUERIES = Kind((256, 512), (19, 30), 19, (32, 16))
KEYS = Kind((384, 768, 1536), (23, 17), 5, (16, 32))
FEATURES = Kind((32, 64), (12, 21), 3, (16, 32))

#: Kinds by the names that dimensions have by convention.
KINDS: dict[str, Kind] = {
    "m": ROWS, "n": COLUMNS, "k": INNER,
    "b": BATCH, "c": CHANNELS, "o": CHANNELS_OUT, "d": DEPTH, "h": HEIGHT, "w": WIDTH, "l": LENGTH,
    "e": HEADS, "t": QUERIES, "s": KEYS, "f": FEATURES,
}  # fmt: skip
