"""KernelBench's measures, against figures worked out by hand."""

from __future__ import annotations

import pytest

from evaluation.report.kernelbench import kernelbench, markdown, sol_score
from evaluation.report.summary import Contender, Sample
from evaluation.timing.samples import Baseline, Timing, sampled, speed_up
from evaluation.verdict import Measurements, Status, Verdict


def timing(own: float, roofline: float | None = 0.5, **others: float) -> Timing:
    times = {Baseline(name): [value] * 6 for name, value in others.items()}
    return Timing(
        candidate=sampled([own] * 6),
        baselines={name: sampled(values) for name, values in times.items()},
        speedups={name: speed_up([own] * 6, values) for name, values in times.items()},
        max_error=0.0,
        roofline_fraction=roofline,
        event_overhead_us=1.0,
        slots=3,
        flushes=1,
        tf32=False,
        clocks=(),
    )


def sample(problem, index, timed: Timing | None = None, status=Status.CORRECT) -> Sample:
    measurements = Measurements(instances=1, max_error=0.0) if status is Status.CORRECT else None
    verdict = Verdict(status=status, reason="because", measurements=measurements)
    return Sample(
        problem_id=problem.id,
        contender=Contender.TRAINED,
        index=index,
        response="",
        checks=verdict,
        aligned=verdict,
        timing=timed,
    )


@pytest.fixture
def report(double):
    other = double.model_copy(update={"id": "other", "level": 2})
    samples = [
        sample(double, 0, timing(1.0, eager=2.0, eager_tf32=1.0, compile=1.3)),
        sample(double, 1, timing(1.0, eager=0.5, eager_tf32=0.25, compile=1.3)),
        sample(other, 0, status=Status.WRONG),
        sample(other, 1),
    ]
    refused = {"level3/2.py": "the program is too large"}
    return kernelbench([double, other], samples, refused=refused, machine=None, facts={"model": "a folder"})


def test_every_level_has_its_own_figures(report):
    assert [(level.name, level.problems, level.samples, level.correct) for level in report.levels] == [
        ("all", 2, 4, 0.75),
        ("1", 1, 2, 1.0),
        ("2", 1, 2, 0.5),
    ]
    assert report.levels[2].against == {}
    assert report.levels[2].sol is None


def test_a_failure_counts_as_once_in_the_mean_and_never_in_fast_p(report):
    eager = report.levels[0].against[Baseline.EAGER]
    assert eager.geometric_mean == pytest.approx((2.0 * 0.5) ** 0.25)
    assert eager.geometric_mean_correct == pytest.approx(1.0)
    assert eager.fast_p == {0: 0.75, 0.5: 0.5, 0.8: 0.25, 1: 0.25, 1.2: 0.25, 1.5: 0.25, 2: 0.25}
    in_tf32 = report.levels[0].against[Baseline.EAGER_TF32]
    assert in_tf32.fast_p[1] == 0.25
    assert in_tf32.geometric_mean_correct == pytest.approx(0.5)


def test_tf32_never_decides_how_fast_a_kernel_is_at_its_own_precision():
    timed = timing(1.0, eager=2.0, eager_tf32=1.0)
    assert timed.speedup == timed.speedups[Baseline.EAGER]


@pytest.mark.parametrize(
    ("own", "eager", "roofline", "score"),
    [
        (2.0, 2.0, 0.5, 0.5),  # as fast as PyTorch
        (1.0, 2.0, 1.0, 1.0),  # at the roofline
        (1.5, 2.0, 1 / 1.5, 2 / 3),  # half of the way
        (4.0, 2.0, 0.25, 0.25),  # three times as far from the roofline as PyTorch
        (2.0, 2.0, 1.0, 0.5),  # both at the roofline
        (3.0, 2.0, 2 / 3, 0.0),  # nothing was to be gained, and it is slower
    ],
)
def test_the_sol_score_is_half_for_pytorch_and_one_for_the_roofline(own, eager, roofline, score):
    assert sol_score(timing(own, roofline, eager=eager)) == pytest.approx(score)
    assert sol_score(timing(own, None, eager=eager)) is None


def test_the_page_states_protocol_machine_and_what_was_left_out(report):
    page = markdown(report)
    assert "- model: a folder" in page
    assert "- machine: a CPU, which judges and times nothing" in page
    assert "- `level3/2.py`: the program is too large" in page
    assert "Against eager tf32" in page
    assert "| all | 2 | 4 | 75.0% | 50.0% |" in page
