"""How many rows of each source became what: the numbers that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from data.sources.rows import Kept, LeftOut, Outcome, SameAs
from evaluation.problem import Problem


@dataclass
class Counts:
    """What became of rows: `rows_in = rows_out + quarantined + duplicates`, always."""

    rows_in: int = 0
    quarantined: Counter[StrEnum] = field(default_factory=Counter)
    duplicates: Counter[SameAs] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more row."""
        self.rows_in += 1
        if isinstance(outcome, LeftOut):
            self.quarantined[outcome.reason] += 1
        elif isinstance(outcome, Kept):
            self.splits[outcome.split.value] += 1
            if isinstance(outcome.item, Problem):
                self.levels[str(outcome.item.level)] += 1
                self.operators.update(set(outcome.item.operators))
        else:
            self.duplicates[outcome.same] += 1

    @property
    def rows_out(self) -> int:
        """Rows that are kept."""
        return self.splits.total()

    @classmethod
    def of_all(cls, parts: Iterable[Counts]) -> Counts:
        """The sum of several sources."""
        total = cls()
        for part in parts:
            total.rows_in += part.rows_in
            for name in ("quarantined", "duplicates", "splits", "levels", "operators"):
                getattr(total, name).update(getattr(part, name))
        return total

    def summary(self) -> dict[str, Any]:
        """All numbers, for a manifest."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "quarantined": self.quarantined.total(),
            "duplicates": self.duplicates.total(),
            "quarantined_by_reason": _sorted(self.quarantined),
            "duplicates_by_reason": _sorted(self.duplicates),
            "splits": _sorted(self.splits),
            "levels": _sorted(self.levels),
        }

    def line(self) -> str:
        """The numbers in half a sentence."""
        left_out = f"{self.quarantined.total()} quarantined, {self.duplicates.total()} duplicates"
        return f"{self.rows_in} rows: {self.rows_out} kept, {left_out}"


def _sorted(counter: Counter) -> dict[str, int]:
    return {str(name): counter[name] for name in sorted(counter)}
