"""Finds the launch and scratch lines among the comments of a kernel file, in the forms that people write.

The usual form is a comment of its own, `// launch name<<<...>>>(...)` or `// scratch name dtype[...]`. Where
a file has such lines, they are the launches. Where it has none, others count as well: in block comments, with
`Launch`, `launch:` or `launch kernel`, after `#`. In every form a line may go on in the next comment lines
and end in a remark. A comment that only speaks of a launch is none: a name and `<<<` must follow `launch`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from evaluation.expressions import ExpressionError
from evaluation.source_text import comments

MAX_SOURCE_BYTES = 65536
"""Longest source that is looked at."""
_MAX_LINES = 16
"""Lines over which one launch may go."""

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
_REMARK = re.compile(r"\s*+;?\s*+(?:(?://|/\*|-(?=[-\s])|[\u2013\u2014#`]|(?<=\s)\()(?!.*<<<).*)?", re.DOTALL)


@dataclass(frozen=True)
class ContractLine:
    """A launch or scratch line of a source, all its comment lines joined."""

    kind: str
    """`launch` or `scratch`."""
    number: int
    """Of its first line in the source."""
    name: str
    """The kernel, or the buffer."""
    text: str
    """What follows the word `launch` or `scratch`, up to the last bracket."""
    rest: str
    """What stands behind it."""
    usual: bool
    """Whether it has the usual form."""

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
    lines = _comment_lines(normal(text)) if "<<<" in text else {}
    return any(_HEADS["launch"].match(line) for line, _ in lines.values())


def contract_lines(source: str, kind: str) -> list[ContractLine]:
    """The lines of a kind in a normal source; raises ExpressionError if one in another form is left over."""
    lines = _comment_lines(source)
    found = [
        _read(kind, number, begun.end(), lines)
        for number, (text, _) in lines.items()
        if (begun := _HEADS[kind].match(text))
    ]
    usual = [line for line in found if line.usual]
    names = {line.name for line in usual}
    for line in found if usual else ():
        if line.name not in names:
            raise ExpressionError(
                f"the comment at line {line.number} has another form than the {kind} line at line "
                f"{usual[0].number}; begin it with `// {kind} {line.name}`"
            )
    return usual or found


def spoken_of(source: str) -> int | None:
    """The line of the first comment with chevrons, for whoever missed a launch line."""
    return next((number for number, (text, _) in _comment_lines(source).items() if "<<<" in text), None)


@lru_cache(maxsize=4)  # looked at for both kinds of lines
def _comment_lines(source: str) -> dict[int, tuple[str, bool]]:
    """Text of each line of comments that begin a line, by its number, and whether it has the usual form."""
    lines: dict[int, tuple[str, bool]] = {}
    for number, comment in comments(source):
        if comment.startswith("//"):
            lines[number] = comment[2:].lstrip("/"), _USUAL.match(comment) is not None
            continue
        for place, line in enumerate(comment[2:-2].split("\n"), number):
            lines[place] = line.strip(" \t").removeprefix("*"), False
    return lines


def _read(kind: str, number: int, begin: int, lines: dict[int, tuple[str, bool]]) -> ContractLine:
    """The line that begins at a place of a comment line, with the next ones while its brackets are open."""
    following = takewhile(lines.__contains__, range(number, number + _MAX_LINES))
    text = "\n".join(lines[place][0] for place in following)[begin:]
    name = (re.match(_NAME, text) or [""])[0]
    opening, closing, after = ("(", ")", text.find(">>>")) if kind == "launch" else ("[", "]", 0)
    depth = 0
    for bracket in re.finditer(rf"[\{opening}\{closing}]", text[after:]) if after >= 0 else ():
        depth += 1 if bracket.group() == opening else -1
        if depth <= 0:
            end = after + bracket.end()
            return ContractLine(kind, number, name, text[:end], text[end:].split("\n")[0], lines[number][1])
    return ContractLine(kind, number, name, text.split("\n")[0], "", lines[number][1])
