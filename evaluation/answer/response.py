"""From a model's response to the text of its one kernel file: thoughts are left out, then the block is found.

An answer is what follows the last thought, which begins with `<think>` and ends with `</think>`. Where the
prompt has opened it, whoever records the response puts THOUGHT before it, so that the text alone says whether
the thought was finished. Drafts inside a thought never count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from evaluation.answer.launch_lines import has_launch
from evaluation.verdict import Refusal, Status

THOUGHT = "<think>"
"""What stands before a response whose prompt ends inside a thought."""
BYTE_ORDER_MARK = "\ufeff"

_CLOSE = r"</think(?:ing)?>"
#: The end of a thought; between backticks it is only spoken of.
_END_OF_THOUGHT = re.compile(rf"{_CLOSE}(?!`)|(?<!`){_CLOSE}", re.IGNORECASE)
#: A tag in an answer begins a line or a sentence, or ends the line; elsewhere it is only spoken of.
_TAG = re.compile(rf"(?:^|(?<=[.:!?>]))[ \t]*(?:<think(?:ing)?>|{_CLOSE})|{_CLOSE}[ \t]*$", re.IGNORECASE)
#: In a block, the end of a thought of which nobody saw the beginning.
_TAG_IN_BLOCK = re.compile(rf"^[ \t`~]*{_CLOSE}", re.IGNORECASE)
_FENCE = re.compile(r"[ \t]*+(?P<fence>`{3,}+|~{3,}+)[ \t{.]*+(?P<language>[\w+#-]*+)(?P<more>[^`]*+)")
#: Languages, beside those that begin with "cu", of a block that is CUDA if it holds a kernel.
_NEAR_CUDA = ("", "c", "c++", "cc", "cpp", "cxx", "h", "hpp", "nvcc")


@dataclass(slots=True)
class _Block:
    """A fenced block; only the last of a response can be open."""

    fence: str
    language: str
    lines: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def source(self) -> str:
        """What is in the block."""
        return "\n".join(self.lines) + "\n"

    @property
    def rank(self) -> int:
        """2 for a block in CUDA, 1 for one that holds a kernel in a language that may be CUDA, else 0."""
        if self.language.startswith("cu"):
            return 2
        return int(self.language in _NEAR_CUDA and any("__global__" in line for line in self.lines))


def kernel_file(text: str) -> str | Refusal:
    """The text of the only block of a response that is a kernel file: the one that has launch lines.

    Without any, the only block in CUDA, so that its reader can say what it lacks.
    """
    blocks = _blocks(text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n"))
    if blocks is None:
        return _unparsable("the response ends inside a thought; the answer must follow its </think>")
    ranked = [block for block in blocks if block.rank]
    for found in ([block for block in ranked if has_launch(block.source)], ranked):
        highest = max((block.rank for block in found), default=0)
        best = [block for block in found if block.rank == highest]
        if len(best) > 1:
            return _unparsable(
                f"the response has {len(best)} fenced ```cuda blocks; it must have exactly one"
            )
        if best and not best[0].closed:
            return _unparsable("the fenced ```cuda block is not closed")
        if best:
            return best[0].source
    return _unparsable(
        "the response has no fenced ```cuda block; it must have exactly one, of device code with launch lines"
    )


def fenced(text: str) -> list[str] | None:
    """The text of every fenced block after the last thought; None if that is not finished."""
    blocks = _blocks(text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n"))
    return None if blocks is None else [block.source for block in blocks]


def after_thoughts(text: str) -> str | None:
    """What follows the last thought, as lines; None if that is not finished."""
    read = _read(text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n"))
    return None if read is None else "\n".join(read[0])


def as_response(text: str) -> str:
    """A plain kernel file as the response that it would be; a response as it is."""
    is_response = any(_FENCE.fullmatch(line) for line in text.splitlines())
    return text if is_response else f"```cuda\n{text.removeprefix(BYTE_ORDER_MARK)}\n```"


def _blocks(text: str) -> list[_Block] | None:
    """All blocks after the last thought, in order; none if that is not finished."""
    read = _read(text)
    return None if read is None else read[1]


def _read(text: str) -> tuple[list[str], list[_Block]] | None:
    """The lines and the blocks after the last thought, in order; none if that is not finished."""
    lines: list[str] = []
    blocks: list[_Block] = []
    thinking = False
    for line in text.split("\n"):
        begin = 0
        while tag := _tags(blocks, thinking).search(line, begin):
            thinking = "</" not in tag.group()
            lines, blocks, begin = [], [], tag.end()
        if not thinking:
            lines.append(line[begin:].rstrip())
            _add(lines[-1], blocks)
    return None if thinking else (lines, blocks)


def _tags(blocks: list[_Block], thinking: bool) -> re.Pattern[str]:
    """What begins or ends a thought here."""
    if thinking:
        return _END_OF_THOUGHT
    return _TAG_IN_BLOCK if blocks and not blocks[-1].closed else _TAG


def _add(line: str, blocks: list[_Block]) -> None:
    """Take a line of the answer."""
    fence = _FENCE.fullmatch(line)
    block = blocks[-1] if blocks and not blocks[-1].closed else None
    if block is None:
        if fence:
            blocks.append(_Block(fence["fence"], fence["language"].lower()))
    elif fence and fence["fence"].startswith(block.fence) and not fence["language"] + fence["more"]:
        block.closed = True
    else:
        block.lines.append(line)


def _unparsable(reason: str) -> Refusal:
    return Refusal(status=Status.UNPARSABLE, reason=reason)
