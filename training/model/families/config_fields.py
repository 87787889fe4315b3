"""Reads the fields of a config.json, each in its type and no other."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError


class Fields:
    """The fields of an object in a config.json; a WarpsmithError names a wrong one and its file."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self._values, self._path = values, path

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number above 0; `default`, where there is one, if the field is not given."""
        value = self._given(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(name, "is not a whole number above 0")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number above 0; `default`, where there is one, if the field is not given."""
        value = self._given(name, default)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value <= sys.float_info.max:
            raise self.wrong(name, "is not a finite number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._given(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "is neither true nor false")
        return value

    def group(self, name: str) -> Mapping[str, Any]:
        """An object within the object, empty if it is not given."""
        value = self._given(name, {})
        if not isinstance(value, Mapping):
            raise self.wrong(name, "is not an object")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """A list of texts, empty if it is not given."""
        value = self._given(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "is not a list of texts")
        return value

    def wrong(self, name: str, what: str) -> WarpsmithError:
        """What to raise about a field."""
        value = f"{self._values.get(name)!r:.80}"
        return WarpsmithError(
            f"{self._path} has {name} {value}, which {what}; correct it, or download the checkpoint again"
        )

    def _given(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        value = default if value is None else value
        if value is None:
            raise WarpsmithError(f"{self._path} lacks the field {name}; download the checkpoint again")
        return value
