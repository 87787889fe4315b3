"""What a setting is part of: the result, or the machine that it is computed on. Said once, at the setting.

    lr: Result[float] = Field(gt=0)
    workers: Machine[int] = Field(default=2, ge=1)

A result is out of date when a setting of the first kind changes, and a run in training goes on only with the
same ones. Those of the second kind (processes, memory, paths, patience, what is kept and watched) may differ
between two starts: they change when and where a thing is computed, and what comes out by rounding at most.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel

Value = TypeVar("Value")


class Affects(Enum):
    """What a setting is part of."""

    RESULT = auto()
    MACHINE = auto()


Result = Annotated[Value, Affects.RESULT]
"""The type of a setting that the result depends on."""
Machine = Annotated[Value, Affects.MACHINE]
"""The type of a setting that says where and how fast a thing is computed."""


def mark(kind: type[BaseModel], name: str) -> Affects | None:
    """The mark of a setting; none if its author forgot it.

    A name that is no field of `kind` is one that the class hands on to a library: `kind.MACHINE_EXTRAS` lists
    those that are the machine's.
    """
    field = kind.model_fields.get(name)
    if field is None:
        return Affects.MACHINE if name in getattr(kind, "MACHINE_EXTRAS", ()) else Affects.RESULT
    return next((said for said in field.metadata if isinstance(said, Affects)), None)


def part(settings: BaseModel, wanted: Affects) -> dict[str, Any]:
    """The settings with one of the two marks, nested as they are, in JSON's types."""
    dumped, chosen = settings.model_dump(mode="json"), {}
    for name, value in settings:
        if isinstance(value, BaseModel):
            chosen[name] = part(value, wanted)
        elif mark(type(settings), name) is wanted:
            chosen[name] = dumped[name]
    return chosen


def joined(result: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    """What `part` has divided, as it was."""
    both = {**result, **machine}
    for name in result.keys() & machine.keys():
        both[name] = joined(result[name], machine[name])
    return both
