"""The promotion gate promotes on a gain beyond the noise, and on nothing else."""

from __future__ import annotations

import pytest

from evaluation.report.estimators import Interval
from evaluation.report.figures import Figures
from evaluation.report.findings import Finding, FindingKind
from evaluation.report.summary import Benchmark, Contender, Rates
from evaluation.timing.machine import Fingerprint
from evaluation.verdict import Status
from tasks.models.corridor import WATCHED, drifts
from tasks.models.gate import Measure, decide
from tasks.models.gate_settings import GateSettings

PROBLEMS = [f"p{i}" for i in range(40)]
FIRST_HALF = {problem: float(i < 20) for i, problem in enumerate(PROBLEMS)}


def machine(driver: str) -> Fingerprint:
    return Fingerprint(
        gpu="NVIDIA H200", max_sm_mhz=1980, max_memory_mhz=3201, driver=driver, cuda="13.0", nvrtc=None,
        torch="2.11.0", machine="x86_64",
    )  # fmt: skip


def benchmark(per_problem, gain=(0.0, 0.0, 0.0), fingerprint=None, correct=0.5) -> Benchmark:
    rates = Rates(
        samples=40, correct=correct, correct_aligned=0.5, pass_at_k={}, unguarded=0.0, statuses={},
        by_group={},
    )  # fmt: skip
    interval = Interval(mean=gain[0], low=gain[1], high=gain[2])
    return Benchmark(
        problems=len(per_problem),
        samples_per_problem=1,
        start=rates,
        trained=rates,
        gain=interval,
        gain_aligned=interval,
        per_problem=per_problem,
        fingerprint=fingerprint,
    )


def test_the_first_model_is_the_champion():
    decision = decide(benchmark(FIRST_HALF), None, started_from_champion=False)
    assert decision.promote and decision.gain is None


def test_a_first_model_that_solves_nothing_is_no_champion():
    decision = decide(benchmark(FIRST_HALF, correct=0.0), None, started_from_champion=False)
    assert not decision.promote and decision.reason == "not promoted: it solves nothing yet"


def test_clearly_better_is_promoted():
    decision = decide(
        benchmark(dict.fromkeys(PROBLEMS, 1.0)), benchmark(FIRST_HALF), started_from_champion=False
    )
    assert decision.promote and decision.gain.mean == pytest.approx(0.5)


def test_equal_is_not_promoted():
    assert not decide(benchmark(FIRST_HALF), benchmark(FIRST_HALF), started_from_champion=False).promote


def test_better_within_the_noise_is_not_promoted():
    slightly = FIRST_HALF | {"p39": 1.0}
    decision = decide(benchmark(slightly), benchmark(FIRST_HALF), started_from_champion=False)
    assert not decision.promote and "noise" in decision.reason


def test_worse_is_not_promoted_and_said_to_be_worse():
    decision = decide(
        benchmark(dict.fromkeys(PROBLEMS, 0.0)), benchmark(FIRST_HALF), started_from_champion=False
    )
    assert not decision.promote and "worse" in decision.reason


def test_other_problems_cannot_be_compared():
    decision = decide(benchmark({"other": 1.0}), benchmark(FIRST_HALF), started_from_champion=False)
    assert not decision.promote and decision.gain is None


@pytest.mark.parametrize(("driver", "compared"), [("580.159.04", True), ("570.86.15", False)])
def test_correctness_counts_on_any_machine_and_it_is_said_that_times_do_not(driver, compared):
    better = benchmark(dict.fromkeys(PROBLEMS, 1.0), fingerprint=machine("580.159.04"))
    champion = benchmark(FIRST_HALF, fingerprint=machine(driver))
    decision = decide(better, champion, started_from_champion=False)
    assert decision.promote and ("different machines" in decision.reason) is not compared


@pytest.mark.parametrize(("low", "promoted"), [(0.01, True), (0.0, False), (-0.01, False)])
def test_a_night_that_trained_the_champion_on_is_judged_by_its_own_measurement_of_it(low, promoted):
    challenger = benchmark({"other": 1.0}, gain=(0.1, low, 0.2))
    assert decide(challenger, benchmark(FIRST_HALF), started_from_champion=True).promote is promoted


@pytest.mark.parametrize(("failed", "promote"), [(0, True), (4, True), (8, False)])
def test_what_nobody_judged_of_the_champions_is_no_gain(failed, promote):
    """8 of 40 may have been right: 20 points, and the gain is 12 at least."""
    challenger = benchmark(FIRST_HALF, gain=(0.2, 0.12, 0.3))
    statuses = {Status.NOT_JUDGED: failed}
    challenger = challenger.model_copy(
        update={"start": challenger.start.model_copy(update={"statuses": statuses})}
    )
    decision = decide(challenger, benchmark(FIRST_HALF), started_from_champion=True)
    assert decision.promote is promote
    assert ("not judged" in decision.reason) is not promote


def timed(start: Figures, trained: Figures, driver="580.159.04", **changes) -> Benchmark:
    """A night whose models have the same figures on every problem."""
    figures = {
        Contender.START: dict.fromkeys(PROBLEMS, start),
        Contender.TRAINED: dict.fromkeys(PROBLEMS, trained),
    }
    found = benchmark(dict.fromkeys(PROBLEMS, trained.correct), fingerprint=machine(driver))
    return found.model_copy(update={"figures": figures, **changes})


SLOW = Figures(correct=0.5, fast_1=0.2, log_speedup=0.0)
FAST = Figures(correct=0.5, fast_1=0.2, log_speedup=0.3)


@pytest.mark.parametrize(
    ("trained", "promote", "words"),
    [
        (FAST, True, "1.350x [1.350, 1.350] as fast"),
        (Figures(correct=0.5, fast_1=0.4, log_speedup=0.0), True, "+20.0 points [+20.0, +20.0] fast_1"),
        (Figures(correct=0.49, fast_1=0.2, log_speedup=0.3), True, "no worse than 2 points"),
        (Figures(correct=0.4, fast_1=0.4, log_speedup=0.3), False, "worse than the champion"),
        (SLOW, False, "within the noise"),
    ],
)
def test_faster_at_the_same_correctness_is_promoted(trained, promote, words):
    decision = decide(timed(SLOW, trained), benchmark(FIRST_HALF), started_from_champion=True)
    assert decision.promote is promote and words in decision.reason
    assert set(decision.gains) == set(Measure) and decision.level == pytest.approx(1 - 0.05 / 3)


@pytest.mark.parametrize(("driver", "promote"), [("580.159.04", True), ("570.86.15", False)])
def test_speeds_of_two_nights_are_compared_on_the_same_machine_only(driver, promote):
    decision = decide(timed(SLOW, FAST), timed(SLOW, SLOW, driver), started_from_champion=False)
    assert decision.promote is promote
    assert (Measure.SPEED in decision.gains) is promote
    assert promote or "speeds do not count: these benchmarks were timed on different mach" in decision.reason


def test_correctness_that_may_be_worse_than_the_margin_outweighs_speed():
    """The mean is a tenth worse than the margin allows at the interval's low end only."""
    mixed = {
        name: Figures(correct=0.5 + (-1) ** i * 0.4, fast_1=0.2, log_speedup=0.3)
        for i, name in enumerate(PROBLEMS)
    }
    night = timed(SLOW, FAST)
    night = night.model_copy(update={"figures": night.figures | {Contender.TRAINED: mixed}})
    decision = decide(night, benchmark(FIRST_HALF), started_from_champion=True)
    assert not decision.promote and "may be worse by more than the margin" in decision.reason
    lenient = GateSettings(correct_margin=0.5)
    assert decide(night, benchmark(FIRST_HALF), started_from_champion=True, settings=lenient).promote


def test_problems_lost_and_solved_are_named():
    better = dict.fromkeys(PROBLEMS, 1.0) | {"p3": 0.0}
    decision = decide(benchmark(better), benchmark(FIRST_HALF), started_from_champion=False)
    assert decision.promote and decision.lost == ("p3",) and len(decision.solved) == 20
    assert decision.reason.endswith("; 1 problem lost")


@pytest.mark.parametrize(
    ("kind", "count", "promote"),
    [(FindingKind.HACK, 1, True), (FindingKind.HACK, 2, False), (FindingKind.LEAKAGE, 1, False)],
)
def test_hacks_beyond_a_slip_and_every_leak_stand_against_a_promotion(kind, count, promote):
    finding = Finding(kind=kind, problem_id="p1", sentence="sample 0 of p1 cheats")
    night = benchmark(dict.fromkeys(PROBLEMS, 1.0)).model_copy(update={"findings": (finding,) * count})
    settings = GateSettings(max_cheated=0.025)  # of 40 samples
    decision = decide(night, benchmark(FIRST_HALF), started_from_champion=False, settings=settings)
    assert decision.promote is promote and decision.trusted is promote
    assert promote or ("cannot be believed: " in decision.reason and "p1" in decision.reason)


LOSS, RATE = "sft/train/loss", "evaluate/eval/heldout/correct_rate"


@pytest.mark.parametrize(
    ("metrics", "drifting"),
    [
        ({LOSS: 1.02, RATE: 0.5}, []),
        ({LOSS: 2.0, RATE: 0.5}, [LOSS]),
        ({LOSS: float("nan")}, [LOSS]),
        ({RATE: 0.95}, []),
        ({RATE: 0.2}, [RATE]),
        ({"prepare/data/problems": 1e9}, []),
    ],
)
def test_a_night_outside_the_corridor_of_trusted_nights_drifts(metrics, drifting):
    trusted = [{LOSS: 1 + 0.01 * i, RATE: 0.5} for i in range(5)]
    found = drifts(metrics, trusted, GateSettings())
    assert [drift.metric for drift in found] == drifting
    assert drifts(metrics, trusted[:4], GateSettings()) == ()  # too few to say


def test_a_drifting_night_is_untrusted_and_not_promoted():
    night, trusted = benchmark(dict.fromkeys(PROBLEMS, 1.0)), [{LOSS: 1.0}] * 5
    decision = decide(
        night, benchmark(FIRST_HALF), started_from_champion=False, metrics={LOSS: 9.0}, trusted=trusted
    )
    assert not decision.promote and not decision.trusted
    assert "untrusted: sft/train/loss is 9, outside [0.7, 1.3] of 5 trusted nights" in decision.reason
    assert decision.gain.mean == pytest.approx(0.5)


def test_every_watched_metric_has_the_name_of_a_stage_before_it():
    stages = {"prepare", "sft", "grpo", "evaluate"}
    assert {name.partition("/")[0] for name in WATCHED} == stages


def test_a_promotion_waits_for_a_person_where_that_is_wanted():
    night, settings = benchmark(dict.fromkeys(PROBLEMS, 1.0)), GateSettings(approval=True)
    decision = decide(night, benchmark(FIRST_HALF), started_from_champion=False, settings=settings)
    assert decision.awaits_approval and not decision.promote
    assert decision.reason.startswith("waits for approval: +50.0 points")
    worse = decide(benchmark(FIRST_HALF), night, started_from_champion=False, settings=settings)
    assert not worse.awaits_approval
