"""KernelBench: a folder of `.py` files by level, or rows with `code`, `level`, `name` and `problem_id`."""

import re

from data.sources.fields import first, level_of, program_of
from data.sources.kind import Kind, Options
from data.sources.rows import Program, Row
from evaluation.problem import Split


def item(row: Row, _options: Options) -> Program:
    """The row's program; its level, number and name are its id."""
    parts = [str(part) for part in (first(row, ("problem_id",)), first(row, ("name",))) if part is not None]
    if parts and parts[-1].startswith(f"{parts[0]}_"):  # the name begins with the number
        parts = parts[-1:]
    name = None
    if parts and "path" not in row.fields:
        said = f"level{level_of(row, ('level',))}-{'-'.join(parts)}".removesuffix(".py")
        name = re.sub(r"[^A-Za-z0-9]+", "-", said)[:120].strip("-")
    return program_of(row, ("code",), ("level",), name)


KIND = Kind(
    "kernelbench",
    "a folder of .py files by level, or rows with `code`, `level`, `name`, `problem_id`; held out",
    item,
    split=Split.HELDOUT,
    licence="MIT",
)
