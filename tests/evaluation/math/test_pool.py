import os
import signal

import pytest

from evaluation.math.pool import MathPool
from evaluation.math.verdict import MathStatus


@pytest.fixture(scope="module")
def pool():
    with MathPool(2, cpu_seconds=2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("34", "34"), ("34", "034"), ("-3", "-3"), ("1000", "1,000"), ("1000", "1{,}000"),
        ("12", r"12\text{ cm}"),
        ("12", r"12\,\mathrm{cm}^2"), ("90", r"90^\circ"), ("12", r"\$12"), (r"\frac12", "0.5"),
        (r"\frac{1}{2}", "1/2"),
        (r"\frac{3}{4}", r"\dfrac{6}{8}"), (r"\{1,2,3\}", r"\{3, 1, 2\}"), ("3", "x = 3"),
        (r"\sqrt{8}", r"2\sqrt{2}"),
        ("(1,2)", "(1, 2)"), ("6", "3!"),
    ],
)  # fmt: skip
def test_equal_answers_are_correct_however_they_are_written(pool, label, answer):
    (verdict,) = pool.evaluate([(label, rf"It is \boxed{{{answer}}}.")])
    assert verdict.correct, verdict


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("34", "33"), ("34", "33, 34"), ("34", r"33 \text{ or } 34"), ("(1,2)", "(2,1)"), ("12", "-12"),
        (r"\frac12", "0.51"), (r"\{1,2\}", r"\{1,2,3\}"), ("12", r"\text{twelve}"), ("2", r"\boxed{"),
        ("12", r"12\\"),
    ],
)  # fmt: skip
def test_other_answers_are_not(pool, label, answer):
    (verdict,) = pool.evaluate([(label, rf"\boxed{{{answer}}}")])
    assert not verdict.correct
    assert verdict.judged
    assert verdict.reason


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("10^{10^{10}}", MathStatus.TIMEOUT),
        ("9!!!!!!", MathStatus.TIMEOUT),
        ("(" * 900, MathStatus.TIMEOUT),
    ],
)
def test_what_hangs_the_verifier_is_a_wrong_answer_with_a_reason(pool, answer, status):
    verdicts = pool.evaluate([("2", rf"\boxed{{{answer}}}"), ("2", r"\boxed{\frac{4}{2}}")])
    assert [verdict.status for verdict in verdicts] == [status, MathStatus.CORRECT]
    assert "CPU time" in verdicts[0].reason


def test_what_the_verifier_raises_on_is_a_wrong_answer(pool):
    strange = (r"\frac{1}{0}", r"\begin{matrix}1", r"\left(", "1" * 900, r"\int_{\infty}^{x} !", "\x00", "{}")
    for verdict in pool.evaluate([("2", rf"\boxed{{{answer}}}") for answer in strange]):
        assert verdict.judged
        assert not verdict.correct


def test_a_worker_that_is_killed_is_replaced_and_the_answer_judged(pool):
    pool.evaluate([("2", r"\boxed{\frac{4}{2}}")])
    for worker in list(pool._forks._workers):
        os.killpg(worker._process.pid, signal.SIGKILL)
    (verdict,) = pool.evaluate([("2", r"\boxed{\frac{6}{3}}")])
    assert verdict.correct


def test_a_failure_of_ours_is_not_judged(pool, monkeypatch):
    monkeypatch.setattr(pool._forks, "exchange", lambda jobs: (0, b"nonsense"))
    (verdict,) = pool.evaluate([("2", r"\boxed{\frac{4}{2}}")])
    assert verdict.status is MathStatus.NOT_JUDGED
    assert "verifier failed" in verdict.reason


def test_a_label_that_is_no_mathematics_is_named(pool):
    (verdict,) = pool.evaluate([(r"\text{}", r"\boxed{1}")])
    assert verdict.status is MathStatus.NOT_JUDGED
    assert "correct its row" in verdict.reason
    assert set(pool.unusable(["12", r"\frac12", r"\text{}", "}}", r"\{1,2\}"])) == {r"\text{}", "}}"}


def test_equal_answers_read_the_same(pool):
    found = pool.evaluate([("2", rf"\boxed{{{answer}}}") for answer in ("7", "07", r"7\text{ m}", "8")])
    assert [verdict.answer for verdict in found] == ["7", "7", "7", "8"]
