"""What a night says of itself, whichever task it was about."""

import pytest

from evaluation.report.comparison import mixed
from evaluation.report.figures import Figures
from evaluation.report.summary import Contender
from tasks.disk.layout import Layout, Stage
from tasks.models.gate import Decision
from tasks.models.promotion import Promotion
from tasks.night import Night
from tasks.report.summary import benchmark_markdown, terminal_summary
from tests.evaluation.report.test_math_summary import compared
from tests.tasks.models.test_gate import FIRST_HALF, benchmark


def kernels():
    figures = {name: Figures(correct=share) for name, share in FIRST_HALF.items()}
    return benchmark(FIRST_HALF).model_copy(update={"figures": dict.fromkeys(Contender, figures)})


@pytest.mark.parametrize(
    ("made", "aligned"),
    [(kernels, True), (lambda: compared()[0], False), (lambda: mixed(kernels(), compared()[0]), True)],
    ids=["kernel", "math", "mixed"],
)
def test_a_night_of_every_task_has_a_summary(tmp_path, made, aligned):
    layout, metrics = Layout(tmp_path, "small"), made().metrics()
    layout.stage(Stage.VALIDATE).mkdir(parents=True)
    (layout.stage(Stage.VALIDATE) / "result.json").write_text("[]")
    decision = Decision(promote=False, reason="not promoted: it solves nothing yet")
    promotion = Promotion(night="n", model_md5="", report_md5="", version="1", decision=decision)
    said = terminal_summary(layout, Night(name="n", champion=None), [], metrics, promotion, "")
    assert "held-out correct@1" in said
    assert ("at aligned sizes" in said) is aligned
    assert "before GRPO" in benchmark_markdown(metrics)
