"""AIME: questions of the contest, whose answers are numbers from 0 to 999; held out."""

from data.sources.kind import Kind, Options
from data.sources.kinds.dapo_math import math_question
from data.sources.rows import Question, Reason, Row, RowError
from evaluation.problem import Split


def item(row: Row, _options: Options) -> Question:
    """The question and its answer, without leading zeros."""
    question = math_question(row)
    label = question.label
    if not (label.isascii() and label.isdecimal() and len(label) < 20 and int(label) <= 999):
        raise RowError(Reason.FIELD, f"the answer {label[:40]!r} is no number from 0 to 999")
    return Question(question.id, question.messages, str(int(label)), question.metadata)


KIND = Kind(
    "aime",
    "`prompt` and `label`, or as published; held out",
    item,
    split=Split.HELDOUT,
    questions=True,
    whole_numbers=True,
)
