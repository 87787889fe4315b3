"""torch2cuda: rows with a program under `pytorch` and its `difficulty`."""

from data.sources.fields import program_of
from data.sources.kind import Kind, Options
from data.sources.rows import Program, Row


def item(row: Row, _options: Options) -> Program:
    """The row's program."""
    return program_of(row, ("pytorch",), ("difficulty",))


KIND = Kind("torch2cuda", "rows with `pytorch` and `difficulty`", item)
