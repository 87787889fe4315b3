"""Finds the launch and scratch lines among the comments of a kernel file, in the forms that people write.

The usual form is a comment of its own, `// launch name<<<...>>>(...)` or `// scratch name dtype[...]`. Where
a file has such lines, they are the launches. Where it has none, others count as well: in block comments, with
`Launch`, `launch:` or `launch kernel`, after `#`. In every form a line may go on in the next comment lines
and end in a remark. A comment that only speaks of a launch is none: a name and `<<<` must follow `launch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluation.expressions import ExpressionError
from evaluation.source_text import comments

MAX_SOURCE_BYTES = 65536
"""Longest source that is looked at."""
_MAX_LINES = 16
"""Lines over which one launch may go."""
_MAX_LENGTH = 8192
"""Characters after which no more lines are joined."""

_HASH = re.compile(r"^([ \t]*+)#(?=[ \t]*+(?:launch|scratch)\b)", re.MULTILINE | re.IGNORECASE)
_NAME = r"[A-Za-z_]\w*+"
_LAUNCHED = rf"{_NAME}[ \t]*+(?:<[^<>]*+>[ \t]*+)?<<<"
_BUFFER = rf"(?:{_NAME}[ \t]*+:?[ \t]*+)?{_NAME}[ \t]*+\["
_SPOKEN_OF = r"(?!(?:with|as|using|by|via|is|config|configuration|parameters|dimensions)[ \t]+<<<)"
_HEADS = {
    kind: re.compile(
        rf"[-*#!`<\s]*+{kind}\b(?:{extra})?[ \t]*+[:=]?[ \t]*+(?={follows})", re.ASCII | re.IGNORECASE
    )
    for kind, extra, follows in (
        ("launch", rf"[ \t]++kernel(?=[ \t:]++{_NAME})|[ \t]++#?\d+", _SPOKEN_OF + _LAUNCHED),
        ("scratch", r"[ \t]++buffer(?=[ \t:]++\w)", _BUFFER),
    )
}
_USUAL = re.compile(rf"//[ \t]*+(?:launch[ \t]++{_SPOKEN_OF}{_LAUNCHED}|scratch[ \t]++{_BUFFER})", re.ASCII)
_REMARK = re.compile(r"\s*+;?\s*+(?:(?://|/\*|[-\u2013\u2014#(`])(?!.*<<<).*)?", re.DOTALL)


@dataclass(frozen=True)
class ContractLine:
    """A launch or scratch line of a source, all its comment lines joined."""

    kind: str
    """`launch` or `scratch`."""
    number: int
    """Of its first line in the source."""
    text: str
    """What follows the word `launch` or `scratch`, up to the last bracket."""
    rest: str
    """What stands behind it."""
    usual: bool
    """Whether it has the usual form."""

    @property
    def first_word(self) -> str:
        """The kernel, or the buffer."""
        return (re.match(_NAME, self.text) or [""])[0]

    def check_rest(self) -> None:
        """Raise ExpressionError unless nothing but a remark stands behind the line."""
        if not _REMARK.fullmatch(self.rest):
            raise ExpressionError(
                f"unexpected {self.rest.split()[0]!r:.40} behind it; each {self.kind} has a line of its own, "
                "and a remark there begins with //"
            )


def normal(source: str) -> str:
    """The text that is read, judged and compiled: no byte-order mark, no CRs, `# launch` as a comment."""
    return _HASH.sub(r"\1//", source.removeprefix("\ufeff").replace("\r\n", "\n"))


def has_launch(source: str) -> bool:
    """Whether a text has a launch line, however wrong."""
    text = source[:MAX_SOURCE_BYTES]
    return "<<<" in text and any(line.kind == "launch" for line in _all(normal(text)))


def contract_lines(source: str) -> dict[str, list[ContractLine]]:
    """The lines of a normal source by kind; raises ExpressionError if one in another form is left over."""
    lines = list(_all(source))
    return {kind: _chosen([line for line in lines if line.kind == kind]) for kind in _HEADS}


def _chosen(lines: list[ContractLine]) -> list[ContractLine]:
    """Those of the usual form, if there are any."""
    usual = [line for line in lines if line.usual]
    names = {line.first_word for line in usual}
    for line in lines if usual else ():
        if line.first_word not in names:
            raise ExpressionError(
                f"the comment at line {line.number} has another form than the {line.kind} line at line "
                f"{usual[0].number}; begin it with `// {line.kind} {line.first_word}`"
            )
    return usual or lines


def spoken_of(source: str) -> int | None:
    """The line of the first comment with chevrons, for whoever missed a launch line."""
    return next((number for number, text, _ in _comment_lines(source) if "<<<" in text), None)


def _all(source: str) -> Iterator[ContractLine]:
    lines = list(_comment_lines(source))
    for index, (number, text, usual) in enumerate(lines):
        for kind, head in _HEADS.items():
            if begun := head.match(text):
                yield _read(kind, number, text[begun.end() :], _following(lines, index), usual)


def _comment_lines(source: str) -> Iterator[tuple[int, str, bool]]:
    """Number and text of each line of comments that begin a line, and whether it has the usual form."""
    for number, comment in comments(source):
        if comment.startswith("//"):
            yield number, comment[2:].lstrip("/"), _USUAL.match(comment) is not None
            continue
        for place, line in enumerate(comment[2:-2].split("\n")):
            yield number + place, line.strip(" \t").removeprefix("*"), False


def _following(lines: Sequence[tuple[int, str, bool]], index: int) -> Iterator[str]:
    """The comment lines directly after the one at `index`, up to the next launch or scratch line."""
    for place in range(index + 1, min(index + _MAX_LINES, len(lines))):
        number, text, _ = lines[place]
        if number != lines[place - 1][0] + 1 or any(head.match(text) for head in _HEADS.values()):
            return
        yield text


def _read(kind: str, number: int, text: str, following: Iterator[str], usual: bool) -> ContractLine:
    """The line with as many of the following as it takes to close its brackets."""
    while (end := _end(kind, text)) is None:
        more = next(following, None) if len(text) < _MAX_LENGTH else None
        if more is None:
            return ContractLine(kind, number, text, "", usual)
        text += " " + more
    return ContractLine(kind, number, text[:end], text[end:], usual)


def _end(kind: str, text: str) -> int | None:
    """Where the arguments of a launch, or the extents of a buffer, are closed."""
    opening, closing = "()" if kind == "launch" else "[]"
    begin = text.find(">>>") + 1 if kind == "launch" else 1
    depth = 0
    for place in range(begin, len(text)) if begin else ():
        depth += (text[place] == opening) - (text[place] == closing)
        if text[place] == closing and depth <= 0:
            return place + 1
    return None
