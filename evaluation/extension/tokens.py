"""Words and signs of C++ host code, with their places."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from evaluation.extension.outcome import not_understood

MAX_TOKENS = 40_000
"""Tokens of one answer that are looked at."""

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ )
    | (?P<string> (?:u8|[uUL])?"(?:\\.|[^"\\\n])*" )
    | (?P<character> '(?:\\.|[^'\\\n])+' )
    | (?P<number> (?:\d|\.\d)(?:[eEpP][+-](?=\d)|'\w|[\w.])* )
    | (?P<word> [A-Za-z_]\w*+ )
    | (?P<sign> <<<|>>>|<<=|>>=|->|::|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|. )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, string, character or sign."""

    kind: str
    text: str
    line: int
    start: int
    """In the text."""

    @property
    def end(self) -> int:
        """Behind its last character."""
        return self.start + len(self.text)


def tokens_of(text: str, first_line: int = 1) -> list[Token]:
    """The tokens of a text without comments and directives."""
    newlines = [found.start() for found in re.finditer("\n", text)]
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "sign"
        if kind == "space":
            continue
        if len(tokens) == MAX_TOKENS:
            raise not_understood(f"more than {MAX_TOKENS} words and signs of C++")
        line = first_line + bisect_right(newlines, found.start())
        tokens.append(Token(kind, found.group(), line, found.start()))
    return tokens


def closing(tokens: list[Token], opening: int) -> int:
    """The place of the bracket that closes the one at `opening`."""
    if opening >= len(tokens):
        raise not_understood("code that ends where a bracket belongs")
    waiting: list[str] = []
    for at in range(opening, len(tokens)):
        text = tokens[at].text if tokens[at].kind == "sign" else ""
        if text in _PAIRS:
            waiting.append(_PAIRS[text])
        elif text in (")", "]", "}"):
            if not waiting or waiting.pop() != text:
                break
            if not waiting:
                return at
    raise not_understood(f"the bracket {tokens[opening].text} is not closed", tokens[opening].line)


def spelled(tokens: list[Token]) -> str:
    """Tokens as text: words apart, nothing else."""
    text = ""
    for token in tokens:
        apart = text[-1:].isidentifier() or text[-1:].isdigit()
        text += (" " if apart and token.kind in ("word", "number") else "") + token.text
    return text
