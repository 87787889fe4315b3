"""What a source may not contain on a GPU: other headers (NVRTC's messages would quote any file), ambiguities.

The text is read as the preprocessor reads it: see `evaluation.source_text`.
"""

from __future__ import annotations

import re

from evaluation.answer.headers import ON_A_GPU
from evaluation.backends.rules import ambiguities
from evaluation.source_text import directives, plain, unclear
from evaluation.verdict import Refusal, Status

_READS = frozenset({"include", "include_next", "import", "embed"})
_HEADER = re.compile(r'[<"]([^<>"]+)[>"]')


def refuse(source: str) -> Refusal | None:
    """Refuse a source that includes, embeds or looks for a file that is not in ON_A_GPU, or is ambiguous."""
    doubt = unclear(source)
    if doubt is not None:
        return _reject(doubt)
    text = plain(source)
    for directive, rest in directives(text):
        header = _HEADER.fullmatch(rest)
        if directive in _READS and (directive != "include" or header is None or header[1] not in ON_A_GPU):
            return _reject(
                f"#{directive} {rest[:80]} is not allowed; a kernel may include device headers only"
            )
    if re.search(r"\b__has_(?:include|embed)", text):
        return _reject("__has_include is not allowed; include the header, or do not")
    return next(map(_reject, ambiguities(text)), None)


def _reject(reason: str) -> Refusal:
    return Refusal(status=Status.REJECTED, reason=reason)
