"""Reads the words, signs and types of C++ host code, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.answer.expression_parser import C_TYPES
from evaluation.extension.outcome import not_understood
from evaluation.extension.tokens import Token, spelled

MAX_DEPTH = 40
"""Levels of nesting of statements and expressions together."""
_MAX_TEMPLATE = 128
"""Tokens of one list of template arguments."""
TYPE_WORDS = frozenset(word for name in C_TYPES for word in name.split()) | {"void", "auto", "scalar_t"}
BEFORE_TYPES = frozenset(
    ["const", "static", "constexpr", "inline", "typename", "struct", "extern", "volatile", "register"]
)
END = Token("sign", "", 0, 0)


class TypeReader:
    """Reads one sequence of tokens from its beginning."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = list(tokens)
        self._at = 0
        self._depth = 0

    # --- tokens

    def _peek(self, ahead: int = 0) -> Token:
        place = self._at + ahead
        return self._tokens[place] if 0 <= place < len(self._tokens) else END

    def _line(self) -> int:
        return self._peek().line or (self._tokens[-1].line if self._tokens else 0)

    def _next(self) -> Token:
        token = self._peek()
        if token is END:
            raise not_understood("the code ends in the middle of a statement", self._line())
        self._at += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self._peek().kind in ("sign", "word") and self._peek().text in texts

    def _take(self, *texts: str) -> bool:
        found = self._is(*texts)
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise not_understood(f"{self._peek().text or 'the end'!r:.40} where {text} belongs", self._line())

    def _deeper(self, change: int) -> None:
        self._depth += change
        if self._depth > MAX_DEPTH:
            raise not_understood(f"code nested more than {MAX_DEPTH} deep", self._line())

    # --- types

    def _type_end(self, at: int) -> int | None:
        """Where the type that begins at a place ends; None if there is none."""
        words: list[str] = []
        while self._word(at):
            text = self._tokens[at].text
            if text in BEFORE_TYPES:
                at += 1
            elif not words or (text in TYPE_WORDS and words[-1] in ("unsigned", "signed", "long", "short")):
                words.append(text)
                at = self._qualified(at + 1)
                if at < len(self._tokens) and self._tokens[at].text == "<":
                    angle = self._template_end(at)
                    if angle is None:
                        return None
                    at = self._qualified(angle)
            else:
                break
        if not words:
            return None
        while at < len(self._tokens) and self._tokens[at].text in ("*", "&", "&&", "const", "__restrict__"):
            at += 1
        return at

    def _word(self, at: int) -> bool:
        return at < len(self._tokens) and self._tokens[at].kind == "word"

    def _qualified(self, at: int) -> int:
        """Behind `::name` as often as it comes."""
        while at < len(self._tokens) and self._tokens[at].text == "::" and self._word(at + 1):
            at += 2
        return at

    def _template_end(self, at: int) -> int | None:
        """Behind the `>` of the template arguments whose `<` stands at a place; None if they are none."""
        depth = 0
        end = min(len(self._tokens), at + _MAX_TEMPLATE)
        while at < end:
            token = self._tokens[at]
            if token.text == "<":
                depth += 1
            elif token.text in (">", ">>"):
                depth -= len(token.text)
            elif token.kind not in ("word", "number") and token.text not in (*",*&+-/", "::"):
                return None
            at += 1
            if depth <= 0:
                return at
        return None

    def _type(self) -> str:
        end = self._type_end(self._at)
        if end is None:
            raise not_understood(f"{self._peek().text!r:.40} where a type belongs", self._line())
        text = spelled(self._tokens[self._at : end])
        self._at = end
        return text
