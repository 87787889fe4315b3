"""All operators, found by walking this package: an entry is a module's value, or stands in a tuple there."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence

import data.operators
from data.operators.operator import Operator
from evaluation.errors import WarpsmithError


def _entries() -> Iterator[Operator]:
    for found in pkgutil.iter_modules(data.operators.__path__, "data.operators."):
        if found.name == __name__:
            continue
        for value in vars(importlib.import_module(found.name)).values():
            if isinstance(value, Operator):
                yield value
            elif isinstance(value, tuple):
                yield from (entry for entry in value if isinstance(entry, Operator))


def _by_name() -> dict[str, Operator]:
    operators: dict[str, Operator] = {}
    for operator in _entries():
        if operators.setdefault(operator.name, operator) is not operator:
            raise ValueError(f"two operators are called {operator.name}")
    return operators


def chosen(names: Sequence[str]) -> dict[str, Operator]:
    """The operators of these names, in their order; all for no names.

    Raises WarpsmithError for a name that no operator has.
    """
    for name in names:
        if name not in OPERATORS:
            near = difflib.get_close_matches(name, OPERATORS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WarpsmithError(f"data.operators: there is no operator {name!r}{hint}")
    return {name: OPERATORS[name] for name in names or OPERATORS}


#: All operators by name: module by module, in the order of their entries.
OPERATORS: dict[str, Operator] = _by_name()
