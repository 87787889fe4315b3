"""All kinds of sources: the modules of `data.sources.kinds`."""

from __future__ import annotations

import difflib
import pkgutil
from functools import cache
from importlib import import_module

from data.sources import kinds as folder
from data.sources.kind import Kind
from data.sources.location import Location, locate
from evaluation.errors import WarpsmithError


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    names = [found.name for found in pkgutil.iter_modules(folder.__path__)]
    modules = [import_module(f"{folder.__name__}.{name}") for name in names]
    return {module.KIND.name: module.KIND for module in modules}


def parse_source(source: str) -> tuple[Kind, Location]:
    """The kind and place of a source as a person writes it; WarpsmithError for an unknown kind."""
    location, kinds = locate(source), all_kinds()
    if location.kind not in kinds:
        near = difflib.get_close_matches(location.kind, kinds, 1)
        known = f"did you mean {near[0]}" if near else f"known are {', '.join(sorted(kinds))}"
        raise WarpsmithError(f"source {source} has the unknown kind {location.kind!r}: {known}")
    return kinds[location.kind], location
