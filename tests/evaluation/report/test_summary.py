import re

import pytest

from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.report.html import render, render_one
from evaluation.report.summary import (
    Benchmark,
    Contender,
    OtherMachineError,
    Sample,
    rates,
    require_same_machine,
    summarise,
    table,
)
from evaluation.timing.machine import Fingerprint
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


def test_pass_at_k_is_given_by_group():
    found = summarise(PROBLEMS, START + TRAINED).trained
    assert found.pass_by_group["operator/relu"] == {1: 0.75, 2: 1.0}
    assert found.pass_by_group["level/2"] == {1: 0.5, 2: 1.0}


def test_the_table_has_the_best_kernel_of_each_problem_and_model():
    rows = table(PROBLEMS, START + TRAINED)
    assert [(row["problem"], row["model"], row["correct_rate"], row["status"]) for row in rows] == [
        ("a", "start", 0.5, "correct"),
        ("a", "trained", 1.0, "correct"),
        ("b", "start", 0.0, "wrong"),
        ("b", "trained", 0.5, "correct"),
    ]
    assert rows[0]["kernel"] == EXACT


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


def test_samples_that_the_evaluator_failed_at_are_counted_apart():
    lost = TRAINED[0].model_copy(update={"checks": Verdict(status=Status.NOT_JUDGED, reason="a full disk")})
    samples = [*START, lost, *TRAINED[1:]]
    benchmark = summarise(PROBLEMS, samples)
    metrics = benchmark.metrics()
    assert metrics["eval/heldout/not_judged"] == 0.25 and metrics["eval/heldout/not_judged_sft"] == 0
    assert benchmark.trained.metrics("eval/x")["eval/x/not_judged"] == 0.25
    assert "not_judged" in render(benchmark, PROBLEMS, samples, {})


def test_report_is_self_contained_and_escapes_what_models_write():
    page = render(summarise(PROBLEMS, START + TRAINED), PROBLEMS, START + TRAINED, {"night": "<b>n1</b>"})
    assert "25.0 % &rarr;" in page
    assert "&lt;at&gt;" in page or "&lt;b&gt;n1" in page
    assert "<b>n1" not in page
    assert not re.search(r"(src|href)=", page)


def test_what_would_hide_or_reorder_text_is_replaced():
    hidden = samples(Contender.TRAINED, {"a": [WRONG, WRONG], "b": [WRONG, WRONG]}, "")
    hidden = [one.model_copy(update={"response": "\u202e/* \x1b[8m */\r\n\ta"}) for one in hidden]
    page = render_one(rates(PROBLEMS, hidden), PROBLEMS, hidden, {})
    assert "<pre>\ufffd/* \ufffd[8m */\n\ta</pre>" in page


def test_models_have_one_name_each_and_correct_is_no_failure():
    page = render(summarise(PROBLEMS, START + TIMED, FINGERPRINT), PROBLEMS, START + TIMED, {})
    assert "after GRPO" not in page and page.count("<th>start</th><th>trained</th>") >= 3
    why = page.split("Why they failed")[1].split("<h2>")[0]
    assert "<td>wrong</td>" in why and "<td>correct</td>" not in why


FINGERPRINT = Fingerprint(
    gpu="H200", max_sm_mhz=1980, max_memory_mhz=3201, driver="580", cuda="13.0", nvrtc=None, torch="2.11",
    machine="x86_64",
)  # fmt: skip


def fast(speedup: float) -> Verdict:
    numbers = Measurements(instances=2, max_error=0.1, speedup=speedup)
    return Verdict(status=Status.CORRECT, reason="matches", measurements=numbers)


TIMED = samples(Contender.TRAINED, {"a": [fast(4.0), fast(0.9)], "b": [fast(1.0), WRONG]}, ROUNDED_UP)


def test_without_times_there_are_no_speeds():
    benchmark = summarise(PROBLEMS, START + TRAINED)
    assert benchmark.start.speeds is None
    assert benchmark.trained.speeds is None
    assert not [name for name in benchmark.metrics() if "speed" in name or "fast" in name]
    assert "How fast" not in render(benchmark, PROBLEMS, START + TRAINED, {})


def test_speeds_count_failures_as_one():
    speeds = summarise(PROBLEMS, START + TIMED, FINGERPRINT).trained.speeds
    assert speeds.timed == 3
    assert speeds.geometric_mean == pytest.approx((4.0 * 0.9 * 1.0 * 1.0) ** (1 / 4))
    assert speeds.geometric_mean_correct == pytest.approx((4.0 * 0.9 * 1.0) ** (1 / 3))
    assert speeds.fast_p == {0: 0.75, 0.5: 0.75, 0.8: 0.75, 1: 0.5, 1.2: 0.25, 1.5: 0.25, 2: 0.25}
    assert speeds.roofline is None
    assert speeds.by_group["level/1"] == pytest.approx((4.0 * 0.9) ** 0.5)
    assert speeds.by_group["operator/sum"] == pytest.approx(1.0)


def test_speeds_are_metrics_and_on_the_page():
    benchmark = summarise(PROBLEMS, START + TIMED, FINGERPRINT)
    metrics = benchmark.metrics()
    assert metrics["eval/heldout/gain_fast_1"] == 0.5  # one of two samples of each problem, from none
    assert metrics["eval/heldout/gain_fast_1_ci_low"] == metrics["eval/heldout/gain_fast_1_ci_high"] == 0.5
    assert metrics["eval/heldout/fast_1"] == 0.5
    assert metrics["eval/heldout/speedup"] == benchmark.trained.speeds.geometric_mean
    assert "eval/heldout/speedup_sft" not in metrics
    page = render(benchmark, PROBLEMS, START + TIMED, {})
    assert "fast_1.5" in page
    assert "<svg" in page
    assert "4.00x" in page  # the best sample of problem a
    assert FINGERPRINT.digest in page
    assert not re.search(r"(src|href)=", page)


def test_a_benchmark_survives_json():
    benchmark = summarise(PROBLEMS, START + TIMED, FINGERPRINT)
    assert Benchmark.model_validate_json(benchmark.model_dump_json()) == benchmark


def test_a_single_model_has_a_page_too():
    page = render_one(rates(PROBLEMS, TIMED), PROBLEMS, TIMED, {"file": "<x>"}, FINGERPRINT)
    assert "75.0 %" in page
    assert "&lt;x&gt;" in page
    with pytest.raises(ValueError, match="same number of samples"):
        rates(PROBLEMS, TIMED[:-1])


def test_times_of_two_machines_are_not_compared():
    ours = summarise(PROBLEMS, START + TIMED, FINGERPRINT)
    require_same_machine(ours, ours)
    require_same_machine(ours, summarise(PROBLEMS, START + TRAINED))
    other = summarise(PROBLEMS, START + TIMED, FINGERPRINT.model_copy(update={"gpu": "H100"}))
    with pytest.raises(OtherMachineError, match=r"H200.*H100"):
        require_same_machine(ours, other)


def test_what_became_worse_stands_first_with_the_kernel_of_before():
    worse = samples(Contender.TRAINED, {"a": [WRONG, WRONG], "b": [CORRECT, WRONG]}, ROUNDED_UP)
    page = render(summarise(PROBLEMS, START + worse), PROBLEMS, START + worse, {})
    first, then = page.index("<h3>1 worse than before</h3>"), page.index("<h3>1 better than before</h3>")
    assert first < page.index("50.0 % &rarr; 0.0 % a &middot;") < then < page.index("0.0 % &rarr; 50.0 % b ")
    assert "relu &middot; wrong: out differs &lt;at&gt; 3</summary>" in page
    assert page.count("<p>Before:</p>") == 2 and "operator/relu</td><td>2</td>" in page
