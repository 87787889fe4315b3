"""A rule plants one fault in a kernel's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What kind of fault a rule plants."""

    BOUNDS = "bounds"
    INDEX = "index"
    ARITHMETIC = "arithmetic"
    CONSTANTS = "constants"
    SYNCHRONISATION = "synchronisation"
    ATOMICS = "atomics"
    REDUCTION = "reduction"
    MEMORY = "memory-init"
    LAUNCH = "launch-plan"
    PRECISION = "precision"
    BOUNDARY = "boundary/padding"
    EPILOGUE = "epilogue"


@dataclass(frozen=True)
class Rule:
    """Replaces one match of `pattern` (every match is a mutant of its own) by `change`."""

    family: Family
    name: str
    pattern: str
    change: str | Callable[[re.Match[str]], str]
    prefix: str = ""
    """What the mutant's text begins with: headers and helpers that the change needs."""

    def mutants(self, text: str) -> Iterator[str]:
        """All mutants of a text that differ from it."""
        for match in re.finditer(self.pattern, text, re.MULTILINE):
            replaced = match.expand(self.change) if isinstance(self.change, str) else self.change(match)
            if replaced != match[0]:
                yield self.prefix + text[: match.start()] + replaced + text[match.end() :]


def swap(one: str, other: str) -> Callable[[re.Match[str]], str]:
    """A change that exchanges two words in the match."""
    return lambda match: re.sub(
        f"{re.escape(one)}|{re.escape(other)}", lambda word: other if word[0] == one else one, match[0]
    )
