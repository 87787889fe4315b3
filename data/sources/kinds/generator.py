"""The generator's own problems, `generator:N`: N of them, drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from data.sources.kind import Kind, Options
from data.sources.location import Location
from data.sources.readers import SourceError
from data.sources.rows import Item, LeftOut, Row
from data.splits import belongs
from evaluation.errors import WarpsmithError
from evaluation.problem import Split

if TYPE_CHECKING:
    from data.generator import Generated


def read(location: Location, options: Options) -> Iterator[Row | LeftOut]:
    """Draw so many training problems, of all levels; the seed and the night choose them."""
    from data.composing import compose_many  # with PyTorch, and only for who draws
    from data.generator import Generated
    from data.operators.registry import chosen

    wanted = location.target
    if not wanted.isdecimal() or int(wanted) < 1:
        raise SourceError(
            f"source {location} must name a number of problems from 1 on, as generator:500 does"
        )
    settings = options.settings
    drawn = compose_many(
        int(wanted),
        chosen(settings.operators),
        workers=options.workers,
        seed=f"{settings.seed}/{options.night}/{wanted}",
        split=Split.TRAIN,
        tolerance=settings.tolerance,
        accept=partial(belongs, settings, Split.TRAIN),
    )
    try:
        for number, one in enumerate(islice(drawn, location.first, location.end), location.first + 1):
            fields = {"drawn": Generated(one.problem, one.graph)}
            yield Row(f"{location}:{number}", one.problem.id, fields, one.problem.shipped.program)
    except WarpsmithError as error:
        raise SourceError(f"source {location} asks for more than there is ({error})") from None


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
