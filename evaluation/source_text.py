"""A kernel's text as the first phases of a compiler leave it: what is judged is then also what is compiled.

Rules that read other text than the compiler can be got around: a comment or a quote that only one of them
sees hides code from the other. So spliced lines are joined and comments become spaces here, once; the rules
and both compilers get the result; and a text of which compilers might think differently is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*(?s:.*?)\*/ )
    | (?P<raw> (?:u8|[uUL])?R" )
    | (?P<string> (?:u8|[uUL])?"(?:\\[^\n]|[^"\\\n])*" )
    | (?P<character> (?:u8|[uUL])?'(?:\\[^\n]|[^'\\\n])+' )
    | (?P<open> /\*(?s:.*) | ["'][^\n]* )
    | (?P<number> \d(?:[eEpP][+-]|'\w|[\w.])* )
    | (?P<rest> (?: [^\W\d][\w$]*+(?!["']) | [^\w"'/\n\\]+ )+ )  # at once, since it is most of a text
    | (?P<word> [^\W\d][\w$]* )
    """,
    re.VERBOSE,
)
_TOKEN_OR_NEWLINE = re.compile(rf"(?P<newline>\n)|{_TOKEN.pattern}", re.VERBOSE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_SPLICE = re.compile(r"\\[ \t]*+(?:\n|\Z)")
_DIRECTIVE = re.compile(r"^[ \t]*(?:#|%:)[ \t]*(\w*)[ \t]*([^\n]*)", re.MULTILINE)


def unclear(source: str) -> str | None:
    """Why compilers could read `source` differently from `plain`, if so."""
    if _CONTROL.search(source):
        return "the source contains control characters"
    joined = _joined(source)
    if _SPLICE.search(joined):  # what is left of two: a compiler would join again what was joined
        return "a line may not end in several backslashes"
    for token in _TOKEN.finditer(joined):
        if token["raw"] is not None:
            return "raw string literals are not allowed"
        if token["open"] is not None:
            return f"a quote or comment is not closed: {token.group()[:30]}"
    text = plain(source)
    if _SPLICE.search(text):  # a comment stood between a backslash and the end of its line
        return "a line may not end in a backslash and a comment"
    if re.search(r"\?\?[/=]", text):
        return "trigraphs are not allowed"
    return None


@lru_cache(maxsize=4)  # every step of a build asks for it anew
def plain(source: str) -> str:
    """`source` with spliced lines joined and every comment replaced by a space; line numbers stay."""
    held = 0  # newlines of comments, which would end a directive where they stand

    def stand_in(token: re.Match[str]) -> str:
        nonlocal held
        if token["newline"] is not None:
            newlines, held = "\n" * (1 + held), 0
            return newlines
        if token["comment"] is None:
            return token.group()
        held += token.group().count("\n")
        return " "

    return _TOKEN_OR_NEWLINE.sub(stand_in, _joined(source))


@lru_cache(maxsize=4)
def without_literals(code: str) -> str:
    """Plain text with every string and character replaced by an empty string."""
    return _TOKEN.sub(lambda token: '""' if token["string"] or token["character"] else token.group(), code)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment that begins its line; spliced lines are joined."""
    number, begins = 1, True
    for token in _TOKEN_OR_NEWLINE.finditer(_joined(source)):
        text = token.group()
        if begins and token["comment"] is not None:
            yield number, text
        number += text.count("\n")
        begins = text == "\n" or (begins and (token["comment"] is not None or text.isspace()))


def blank(code: str) -> str:
    """Plain text with spaces in place of literals and directives; what is left stays where it was."""

    def spaces(found: re.Match[str]) -> str:
        return " " * len(found.group())

    text = _TOKEN.sub(
        lambda token: (
            spaces(token) if token["string"] or token["character"] or token["open"] else token.group()
        ),
        code,
    )
    return _DIRECTIVE.sub(spaces, text)


def directives(code: str) -> Iterator[tuple[str, str]]:
    """Name and text of each preprocessor directive of plain text."""
    return ((found[1], found[2].strip()) for found in _DIRECTIVE.finditer(code))


def macros(code: str) -> list[str]:
    """The names that plain text defines as macros, each once."""
    names = (re.match(r"\w*", text) for name, text in directives(code) if name == "define")
    return list(dict.fromkeys(name.group() for name in names if name and name.group()))


@lru_cache(maxsize=4)
def _joined(source: str) -> str:
    """Spliced lines as one, followed by as many empty lines as it had splices."""
    lines, parts, splices = [], [], 0
    for line in source.replace("\r\n", "\n").split("\n"):
        kept = line.rstrip(" \t\v\f")
        if kept.endswith("\\"):
            parts.append(kept[:-1])
            splices += 1
            continue
        lines.append("".join([*parts, line]) + "\n" * splices)
        parts, splices = [], 0
    return "\n".join([*lines, "".join(parts)] if parts else lines)
