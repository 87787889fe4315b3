"""What a kind of source states of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from data.settings import DataSettings
from data.sources import readers
from data.sources.location import Location
from data.sources.rows import Item, LeftOut, Row
from evaluation.problem import Split


@dataclass(frozen=True)
class Options:
    """What a person may ask of the sources."""

    settings: DataSettings = field(default_factory=DataSettings)
    night: str = "0"
    """Seeds, with the settings' seed, what is drawn."""
    input_key: str = "prompt"
    """Column of a slime source with the prompt."""
    label_key: str = "label"
    """Column with the answer."""
    metadata_key: str = "metadata"
    """Column with anything else."""
    workers: int = 1
    """Processes that draw side by side; they change nothing in what is drawn."""

    @property
    def seed(self) -> str:
        """What the sizes that problems are judged at are drawn from."""
        return f"{self.settings.seed}/{self.night}"


def read_table(location: Location, _options: Options) -> Iterator[Row | LeftOut]:
    """The rows of a file, a folder or a set on the hub."""
    return readers.read(location)


@dataclass(frozen=True)
class Kind:
    """One kind of source."""

    name: str
    """As in `KIND:PATH`."""
    about: str
    """What its rows hold, in a line of the help."""
    item: Callable[[Row, Options], Item]
    """What a row means; raises RowError."""
    read: Callable[[Location, Options], Iterator[Row | LeftOut]] = read_table
    """The rows, in order; raises SourceError."""
    split: Split | None = None
    """Where all of its rows belong; none goes by the operators of each."""
    answers: bool = False
    """Whether rows come with an answer, without which they are not kept."""
    questions: bool = False
    """Whether its rows are questions that have an answer, and no programs."""
    whole_numbers: bool = False
    """Whether every answer is a whole number."""
    licence: str = "that of the file's owner"
    """Of the set as published, for the datasheet."""
