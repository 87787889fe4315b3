"""The promotion gate promotes on a gain beyond the noise, and on nothing else."""

from __future__ import annotations

import pytest

from evaluation.report.estimators import Interval
from evaluation.report.summary import Benchmark, Rates
from evaluation.timing.machine import Fingerprint
from evaluation.verdict import Status
from tasks.models.gate import decide

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


@pytest.mark.parametrize(("driver", "promoted"), [("580.159.04", True), ("570.86.15", False)])
def test_times_of_another_machine_are_not_compared(driver, promoted):
    better = benchmark(dict.fromkeys(PROBLEMS, 1.0), fingerprint=machine("580.159.04"))
    champion = benchmark(FIRST_HALF, fingerprint=machine(driver))
    decision = decide(better, champion, started_from_champion=False)
    assert decision.promote is promoted
    assert promoted or "different machines" in decision.reason


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
