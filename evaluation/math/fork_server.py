"""The confined process that compares answers with math-verify: imports it once, then forks per comparison.

LaTeX of a model can keep its parser and sympy busy for ever, or take all memory, so each comparison has a
process of its own (`evaluation.reference.serving`), bounded and without any way out.
"""

from __future__ import annotations

import logging
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify

from evaluation.reference import serving

LABEL, ANSWER = "label", "answer"
"""Which of the two could not be read, in a reply with an error."""
#: Only LaTeX in a box is read: the library's reader of plain expressions hands text to Python's own.
_READER = [LatexExtractionConfig(boxed_match_priority=0)]
_WARM_UP = (
    (r"\frac{1}{2}", "0.5"), ("34", r"34\text{ cm}^2"), (r"\{1, 2\}", r"\{2, 1\}"), (r"\sqrt{2}", r"2^{1/2}"),
    ("(1, 2)", "(1, 2)"), ("7", r"x = 7^\circ"), ("1", "2"), ("x^2 - 1", "(x-1)(x+1)"),
)  # fmt: skip


def answer(job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Whether `job`'s answer equals its label, and how the answer was read."""
    try:
        label = _read(job[LABEL])
    except BaseException as error:
        return {"error": _said(error), "of": LABEL}, []
    if not label:
        return {"error": "it cannot be read", "of": LABEL}, []
    try:
        given = _read(job[ANSWER])
        equal = bool(given) and verify(label, given, timeout_seconds=None, raise_on_error=True)
        return {"value": {"equal": bool(equal), "read": str(given[0]) if given else ""}}, []
    except BaseException as error:
        return {"error": _said(error), "of": ANSWER}, []


def _read(text: str) -> list[Any]:
    """The text as expressions, none if it is no mathematics; the library raises anything at all."""
    found: list[Any] = parse(rf"\boxed{{{text}}}", _READER, parsing_timeout=None, raise_on_error=True)
    return found


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def main(lock_path: str) -> None:
    """Serve comparisons until stdin closes; `lock_path` is the filter."""
    logging.disable(logging.CRITICAL)  # it warns of every time limit that it is not to keep itself
    for label, given in _WARM_UP:
        result, _ = answer({LABEL: label, ANSWER: given})
        if "error" in result:
            raise SystemExit(f"warm-up failed: {result['error']}")
    serving.serve_until_closed(lock_path, answer)
