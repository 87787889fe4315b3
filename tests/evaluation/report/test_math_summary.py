"""Comparisons of models on questions: closed forms, and what the gate reads."""

import math
from itertools import product

import pytest

from evaluation.math.verdict import MathStatus, MathVerdict
from evaluation.report.estimators import Interval
from evaluation.report.math_html import math_page
from evaluation.report.math_summary import MathSample, majority, summarise_math
from evaluation.report.summary import Contender


def verdict(answer, label="1"):
    """Of an answer as a letter or a number; empty where there was none."""
    if not answer:
        return MathVerdict(status=MathStatus.NO_ANSWER, reason="no box")
    if answer == label:
        return MathVerdict(status=MathStatus.CORRECT, reason="", answer=answer)
    return MathVerdict(status=MathStatus.WRONG, reason="another", answer=answer)


def samples(answers, contender, tokens=10):
    """`answers`: those of each question."""
    return [
        MathSample(
            problem_id=name, contender=contender, index=index, response=f"\\boxed{{{answer}}}", tokens=tokens,
            truncated=not answer, verdict=verdict(answer),
        )
        for name, given in answers.items()
        for index, answer in enumerate(given)
    ]  # fmt: skip


GROUPS = {"a": "aime:x", "b": "aime:x", "c": "arithmetic:9"}
BEFORE = {"a": ["2", "2", "1", ""], "b": ["2", "3", "", "4"], "c": ["1", "", "", ""]}
AFTER = {"a": ["1", "1", "2", ""], "b": ["1", "2", "", ""], "c": ["1", "1", "1", "1"]}


def compared():
    every = samples(BEFORE, Contender.START, 4) + samples(AFTER, Contender.TRAINED, 6)
    return summarise_math(GROUPS, every), every


def test_the_figures_are_those_of_their_definitions():
    found, _ = compared()
    assert found.start.correct == pytest.approx((1 / 4 + 0 + 1 / 4) / 3)
    assert found.trained.correct == pytest.approx((2 / 4 + 1 / 4 + 1) / 3)
    assert found.gain.mean == pytest.approx(found.trained.correct - found.start.correct)
    for k in (1, 2, 4):
        chances = [1 - math.comb(4 - c, k) / math.comb(4, k) for c in (2, 1, 4)]
        assert found.trained.pass_at_k[k] == pytest.approx(sum(chances) / 3)
    assert found.start.majority == pytest.approx((0 + 0 + 1) / 3)
    assert found.trained.majority == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert (found.start.length, found.trained.length) == (4, 6)
    assert found.start.truncated == pytest.approx(5 / 12)
    assert found.trained.by_group == {"aime:x": pytest.approx(3 / 8), "arithmetic:9": 1}
    assert found.per_problem == {"a": 0.5, "b": 0.25, "c": 1}
    metrics = found.metrics()
    assert metrics["eval/heldout/maj_at_n"] == found.trained.majority
    assert metrics["eval/heldout/correct_rate_sft"] == found.start.correct


def test_the_majority_is_the_chance_of_a_most_frequent_answer_being_right():
    for answers in product(["1", "2", "3", ""], repeat=4):
        votes = [answer for answer in answers if answer]
        most = max((votes.count(answer) for answer in votes), default=0)
        tied = {answer for answer in votes if votes.count(answer) == most}
        expected = ("1" in tied) / len(tied) if tied else 0
        assert majority([verdict(answer) for answer in answers]) == expected


def test_correct_answers_vote_together_however_they_are_written():
    halves = [MathVerdict(status=MathStatus.CORRECT, reason="", answer=answer) for answer in ("1/2", "0.5")]
    assert majority([*halves, verdict("2"), verdict("3")]) == 1


def test_unequal_samples_are_not_compared():
    every = compared()[1]
    with pytest.raises(ValueError, match="same number of samples"):
        summarise_math(GROUPS, every[1:])
    with pytest.raises(ValueError, match="same number of samples"):
        summarise_math({}, [])


def test_the_page_escapes_what_models_write():
    found, every = compared()
    every[0] = every[0].model_copy(update={"response": "<script>"})
    shown = [one.model_copy(update={"response": "<script>alert(1)</script>"}) for one in every]
    page = math_page(found, {name: ("what?", "1") for name in GROUPS}, shown, {"night": "n"})
    assert "<script>" not in page
    assert "maj@4" in page
    assert isinstance(found.gain, Interval)
