"""What tells one row from another before anything is run: its text, but for layout and names."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from data.generator import Generated
from data.sources.rows import Item, Question
from evaluation.reference.syntax import detect_dialect, operators_of, parse, program_identity

_WRAPPING = re.compile(
    r"^\s*solve the following math problem[^\n]*\n\s*\n"
    r"|\n\s*\nremember to put your answer on its own line.*$",
    re.IGNORECASE | re.DOTALL,
)
"""What a set's makers put around every question: with it and without it is the same question."""
_NOT_SAID = re.compile(r"[^\w+\-*/^=<>!.%]+")


def identity_of(item: Item) -> str:
    """Hash of what a row says. Raises ProgramError for a text that is no program."""
    if isinstance(item, Question):
        said = " ".join(turn["content"] for turn in item.messages if turn["role"] != "system")
        return hashlib.sha256(_normal(said).encode()).hexdigest()
    text = item.problem.shipped.program if isinstance(item, Generated) else item.text
    detect_dialect(text)
    return program_identity(text)


def operators_in(item: Item) -> tuple[str, ...]:
    """The operators that a program's text names; none in a question."""
    if isinstance(item, Question):
        return ()
    return item.problem.operators if isinstance(item, Generated) else operators_of(parse(item.text))


def _normal(text: str) -> str:
    """A question without its wrapping, capitals, blanks and dollar signs."""
    plain = unicodedata.normalize("NFKC", _WRAPPING.sub("", text)).casefold()
    return _NOT_SAID.sub("", plain).rstrip(".")
