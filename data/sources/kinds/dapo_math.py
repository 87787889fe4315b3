"""DAPO-Math: competition questions whose answers are whole numbers."""

import re

from data.sources.fields import first, question_of
from data.sources.kind import Kind, Options
from data.sources.rows import Question, Reason, Row, RowError
from evaluation.problem import Split

PROMPTS = ("prompt", "problem", "question", "Problem")
ANSWERS = ("label", "answer", "solution", "Answer")
_WHOLE = re.compile(r"-?\d{1,20}")


def item(row: Row, _options: Options) -> Question:
    """The question and its answer, which must be a whole number."""
    question = math_question(row)
    if not _WHOLE.fullmatch(question.label):
        raise RowError(Reason.FIELD, f"the answer {question.label[:40]!r} is no whole number")
    return question


def math_question(row: Row) -> Question:
    """The question of a row in one of the forms that such sets are published in."""
    answer = first(row, ANSWERS)
    judged = row.fields.get("reward_model")
    if answer is None and isinstance(judged, dict):
        answer = judged.get("ground_truth")
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    return question_of(row, first(row, PROMPTS), answer)


KIND = Kind(
    "dapo-math",
    "`prompt` and `label`, or as published with `reward_model`; for training",
    item,
    split=Split.TRAIN,
    questions=True,
    whole_numbers=True,
    licence="Apache-2.0",
)
