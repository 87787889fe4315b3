"""From a model's response to the text of its final answer: what is in the last `\boxed{...}`.

Thoughts never count (`evaluation.answer.response` says what a thought is), and of several boxes the last one
does, so that trying many is worth nothing. A response without a box may say `Answer: 12` in a last line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evaluation.answer.response import after_thoughts

MOST_CHARACTERS = 1000
"""Longest answer that is compared: what is longer is no answer to a question, and costs time to read."""

_BOX = re.compile(r"\\f?boxed\s*+(?P<brace>\{)?(?P<bare>[^\s\\{}$.,;]++)?")
_SAID = re.compile(
    r"(?:so\s+|thus\s+)?(?:the\s+)?(?:final\s+)?answer[*_]*(?:\s*[:=]|\s+is\b)[:*_\s]*(?P<answer>.+)",
    re.IGNORECASE,
)
#: Around an answer in a line: emphasis and mathematics.
_AROUND = " \t*_`$"
_INLINE = ((r"\(", r"\)"), (r"\[", r"\]"))


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The response has no final answer."""

    reason: str
    """One sentence."""


def final_answer(response: str) -> str | NoAnswer:
    """The LaTeX, or plain text, that the response gives as its answer."""
    text = after_thoughts(response)
    if text is None:
        return NoAnswer("the response ends inside a thought; the answer must follow its </think>")
    boxes = list(_BOX.finditer(text))
    answer = _in_box(text, boxes[-1]) if boxes else _in_last_line(text)
    if isinstance(answer, NoAnswer):
        return answer
    if not answer:
        return NoAnswer(r"the last \boxed{} is empty" if boxes else _NOTHING)
    if len(answer) > MOST_CHARACTERS:
        return NoAnswer(f"the answer has {len(answer)} characters; at most {MOST_CHARACTERS} are compared")
    return answer


_NOTHING = r"the response has no \boxed{...} and no last line `Answer: ...`"


def _in_box(text: str, box: re.Match[str]) -> str | NoAnswer:
    r"""What a box holds; `\boxed 5` is one, too."""
    if box["brace"] is None:
        return box["bare"] or ""
    depth, place = 1, box.end("brace")
    while place < len(text):
        character = text[place]
        if character == "\\":  # a brace after it is written, and bounds nothing
            place += 2
            continue
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[box.end("brace") : place].strip()
        place += 1
    return NoAnswer(r"the last \boxed{ is not closed")


def _in_last_line(text: str) -> str | NoAnswer:
    """The answer that the last line with text says in so many words."""
    lines = [line.strip(_AROUND) for line in text.splitlines()]
    said = _SAID.fullmatch(next((line for line in reversed(lines) if line), ""))
    if said is None:
        return NoAnswer(_NOTHING)
    answer = said["answer"].strip(_AROUND).removesuffix(".").strip(_AROUND)
    for opening, closing in _INLINE:
        answer = answer.removeprefix(opening).removesuffix(closing)
    return answer.strip(_AROUND)
