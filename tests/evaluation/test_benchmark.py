import re

import pytest

from evaluation.benchmark import Contender, Sample, summarise
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.report import render
from evaluation.verdict import Measurements, Status, Verdict

ROUNDED_UP = "```cuda\n// launch k<<<(n + 255) / 256, 256>>>(x, out, n)\n```"
EXACT = "```cuda\n// launch k<<<m*n/256, 256>>>(x, out, m, n)\n```"
CORRECT = Verdict(
    status=Status.CORRECT, reason="matches", measurements=Measurements(instances=2, max_error=0.1)
)
WRONG = Verdict(status=Status.WRONG, reason="out differs <at> 3")


def problem(name: str, level: int, operators: tuple[str, ...]) -> Problem:
    x = Tensor(name="x", shape=(64,), dtype="float32")
    at = Instance(program="def f(x): ...", sizes={"n": 64}, inputs=(x,), outputs=(x,))
    return Problem(
        id=name,
        source="test",
        level=level,
        split=Split.HELDOUT,
        dialect=Dialect.FUNCTION,
        operators=operators,
        shipped=at,
        checks=(at,),
        tolerance=1e-4,
        flops=64,
        bytes=512,
    )


PROBLEMS = [problem("a", 1, ("relu",)), problem("b", 2, ("relu", "sum"))]


def samples(contender: Contender, outcomes: dict[str, list[Verdict]], response: str) -> list[Sample]:
    return [
        Sample(problem_id=p, contender=contender, index=i, response=response, checks=v, aligned=CORRECT)
        for p, verdicts in outcomes.items()
        for i, v in enumerate(verdicts)
    ]


START = samples(Contender.START, {"a": [CORRECT, WRONG], "b": [WRONG, WRONG]}, EXACT)
TRAINED = samples(Contender.TRAINED, {"a": [CORRECT, CORRECT], "b": [CORRECT, WRONG]}, ROUNDED_UP)


def test_rates_are_means_over_problems():
    benchmark = summarise(PROBLEMS, START + TRAINED)
    assert benchmark.start.correct == 0.25
    assert benchmark.trained.correct == 0.75
    assert benchmark.gain.mean == pytest.approx(0.5)
    assert benchmark.gain_aligned.mean == 0
    assert benchmark.trained.pass_at_k == {1: 0.75, 2: 1.0}
    assert benchmark.per_problem == {"a": 1.0, "b": 0.5}
    assert benchmark.trained.by_group == {
        "level/1": 1.0,
        "level/2": 0.5,
        "operator/relu": 0.75,
        "operator/sum": 0.5,
    }


def test_only_a_plain_division_counts_as_unguarded():
    benchmark = summarise(PROBLEMS, START + TRAINED)
    assert benchmark.start.unguarded == 1.0
    assert benchmark.trained.unguarded == 0.0


def test_unequal_samples_are_refused():
    with pytest.raises(ValueError, match="same number of samples"):
        summarise(PROBLEMS, START + TRAINED[:-1])


def test_metrics_carry_the_names_that_the_gate_reads():
    metrics = summarise(PROBLEMS, START + TRAINED).metrics()
    assert metrics["eval/heldout/correct_rate"] == 0.75
    assert metrics["eval/heldout/correct_rate_sft"] == 0.25
    assert metrics["eval/heldout/problems"] == 2
    assert metrics["eval/heldout/gain_ci_low"] <= 0.5


def test_report_is_self_contained_and_escapes_what_models_write():
    page = render(summarise(PROBLEMS, START + TRAINED), PROBLEMS, START + TRAINED, {"night": "<b>n1</b>"})
    assert "25.0 % &rarr;" in page
    assert "&lt;at&gt;" in page or "&lt;b&gt;n1" in page
    assert "<b>n1" not in page
    assert not re.search(r"(src|href)=", page)
