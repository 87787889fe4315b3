"""A path without a kind: programs in a JSONL file or a folder, as a profile's `data.sources` names them."""

from data.sources.fields import program_of
from data.sources.kind import Kind, Options
from data.sources.location import BARE
from data.sources.rows import Program, Row

FIELDS = ("pytorch", "program")


def item(row: Row, _options: Options) -> Program:
    """The program under `pytorch` or `program`, with the difficulty from 1 to 4 if there is one."""
    return program_of(row, FIELDS, ("difficulty", "level"))


KIND = Kind(BARE, "rows with a program under `pytorch` or `program`, or a folder of .py files", item)
