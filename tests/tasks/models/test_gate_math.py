"""The promotion gate reads reports of questions, and of both tasks, as it reads those of kernels."""

import pytest

from evaluation.report.comparison import MixedBenchmark, mixed, read_comparison
from evaluation.report.figures import Figures
from evaluation.report.math_summary import MathBenchmark
from evaluation.report.summary import Contender
from tasks.models.gate import Measure, decide
from tests.evaluation.report.test_math_summary import compared
from tests.tasks.models.test_gate import FIRST_HALF, benchmark


def test_the_gate_reads_reports_of_every_task():
    found, _ = compared()
    again = read_comparison(found.model_dump_json())
    assert again == found
    assert isinstance(again, MathBenchmark)
    assert decide(again, None, started_from_champion=False).promote
    assert not decide(found, again, started_from_champion=False).promote  # equal
    figures = {name: Figures(correct=share) for name, share in FIRST_HALF.items()}
    nothing = {name: Figures(correct=0) for name in FIRST_HALF}
    kernels = benchmark(FIRST_HALF).model_copy(
        update={"figures": {Contender.START: nothing, Contender.TRAINED: figures}}
    )
    both = mixed(kernels, found)
    assert read_comparison(both.model_dump_json()) == both
    assert isinstance(both, MixedBenchmark)
    count = kernels.problems + 3
    assert both.trained.correct == pytest.approx(
        (kernels.trained.correct * kernels.problems + found.trained.correct * 3) / count
    )
    assert both.gain.mean == pytest.approx((20 + 3 * found.gain.mean) / count)
    decision = decide(both, both, started_from_champion=True)
    assert decision.promote
    assert set(decision.gains) == {Measure.CORRECT}
    assert both.metrics()["eval/heldout/math/correct_rate"] == found.trained.correct
    assert read_comparison(kernels.model_dump_json()) == kernels
