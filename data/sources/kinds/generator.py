"""The generator's own problems, `generator:N`: N of them, drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data.settings import Counts
from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.readers import SourceError
from data.sources.rows import Item, LeftOut, Row
from evaluation.errors import WarpsmithError
from evaluation.problem import Split

if TYPE_CHECKING:
    from data.generator import Generated

_PAIRS = 1000
"""Two-operator problems at most: there are few combinations, and the larger ones hold them all."""


def read(location: Location, options: Options) -> Iterator[Row | LeftOut]:
    """Draw so many training problems, of all levels; the seed and the night choose them."""
    from data.generator import generate  # with PyTorch, and only for who draws

    wanted = location.target
    if not wanted.isdecimal() or int(wanted) < 1:
        raise SourceError(
            f"source {location} must name a number of problems from 1 on, as generator:500 does"
        )
    count, none = int(wanted), Counts(level2=0, level3=0)
    pairs = min((count + 1) // 2, _PAIRS)
    counts = Counts(level2=pairs, level3=count - pairs)
    settings = options.settings.model_copy(update={"train": counts, "validation": none, "heldout": none})
    try:
        drawn = generate(settings, options.night).problems
    except WarpsmithError as error:
        raise SourceError(f"source {location} asks for more than there is ({error})") from None
    rng = random.Random(f"{options.settings.seed}/{options.night}/{location}")
    for number in sorted(rng.sample(range(len(drawn)), count))[location.first : location.end]:
        item = drawn[number]
        program = item.problem.shipped.program
        yield Row(f"{location}:{number + 1}", item.problem.id, {"drawn": item}, program)


def item(row: Row, _options: Options) -> Item:
    """The problem as it was drawn."""
    drawn: Generated = row.fields["drawn"]
    return drawn


KIND = Kind(
    "generator",
    "so many problems of our own, as in generator:500",
    item,
    read,
    split=Split.TRAIN,
    licence="ours",
)
