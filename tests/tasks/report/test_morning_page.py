"""The page of a night shows what changed, and nothing of a hostile kernel comes alive on it."""

from __future__ import annotations

import html.parser

import pytest

from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.report.estimators import Interval
from evaluation.report.summary import Contender, Sample, summarise
from evaluation.verdict import Measurements, Status, Verdict
from tasks.models.gate import Decision, Measure
from tasks.report.charts import heat_map, line_chart
from tasks.report.morning_page import Earlier, Morning, morning_page
from tasks.report.problem_list import SCRIPT_HASH
from tasks.report.trajectories import trajectories_page
from training.settings.optimization import Advantage

HOSTILE = "</pre></details><script>alert(1)</script>{{ 7*7 }}\u202e<img src=x onerror=alert(2)>' \"></svg>"
KERNEL = '```cuda\n// launch k<<<n, 1>>>(x, out)\nextern "C" __global__ void k(float* x) { }\n```'


def verdict(status: Status, reason: str = HOSTILE, speedup: float | None = None) -> Verdict:
    measured = Measurements(instances=1, max_error=0, speedup=speedup) if status is Status.CORRECT else None
    return Verdict(status=status, reason=reason, measurements=measured)


def problem(name: str, level: int, operators: tuple[str, ...]) -> Problem:
    x = Tensor(name="x", shape=(64,), dtype="float32")
    at = Instance(program=f"def f(x): ...  # {HOSTILE}", sizes={"n": 64}, inputs=(x,), outputs=(x,))
    return Problem(
        id=name, source="test", level=level, split=Split.HELDOUT, dialect=Dialect.FUNCTION,
        operators=operators, shipped=at, checks=(at,), tolerance=1e-4, flops=64, bytes=512,
    )  # fmt: skip


PROBLEMS = [problem("new", 1, ("relu",)), problem("lost", 2, ("relu", "sum")), problem("bad", 2, ("sum",))]
CORRECT, WRONG, CHEATED = (
    verdict(s, speedup=2.5 if s is Status.CORRECT else None)
    for s in (Status.CORRECT, Status.WRONG, Status.CHEATED)
)
OUTCOMES = {
    Contender.START: {"new": WRONG, "lost": CORRECT, "bad": WRONG},
    Contender.TRAINED: {"new": CORRECT, "lost": WRONG, "bad": CHEATED},
}
SAMPLES = [
    Sample(problem_id=name, contender=who, index=0, response=KERNEL + HOSTILE, checks=found, aligned=found)
    for who, outcomes in OUTCOMES.items()
    for name, found in outcomes.items()
]


@pytest.fixture(scope="module")
def page() -> str:
    benchmark = summarise(PROBLEMS, SAMPLES)
    before = benchmark.model_copy(update={"per_problem": {"new": 0.0, "lost": 1.0, "bad": 0.0}})
    speed = Interval(mean=0.1, low=0.0, high=0.2)
    decision = Decision(
        promote=False, reason=f"not promoted: {HOSTILE}", gains={Measure.SPEED: speed}, lost=("lost",)
    )
    rows = [{"step": step, "reward/mean": step / 10, "kernels/correct": 0.5} for step in range(1, 9)]
    return morning_page(
        Morning(
            night="2026-12-01",
            profile="cpu",
            decision=decision,
            decision_rows=[{"what": HOSTILE, "gain": "1", "low": "0", "high": "2"}],
            benchmark=benchmark,
            problems=PROBLEMS,
            samples=SAMPLES,
            curves={"grpo": rows, "sft": []},
            before=Earlier("2026-11-30", before),
            links=[("MLflow", "http://127.0.0.1:5000/#/experiments/1/runs/abc")],
            facts={"code": HOSTILE},
        )
    )


class Tags(html.parser.HTMLParser):
    """What a browser would build: tags, and attributes that run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_a_hostile_kernel_stays_text(page):
    found = Tags(page)
    assert found.tags.count("script") == 1 and not found.handlers and "img" not in found.tags
    assert "\u202e" not in page and "{{ 7*7 }}" in page
    assert f"script-src &#39;{SCRIPT_HASH}&#39;" in page or f"script-src '{SCRIPT_HASH}'" in page
    assert "http" not in page.replace("http://127.0.0.1:5000", "").replace("http-equiv", "")


def section(page: str, title: str) -> str:
    return page.split(f"<h2>{title}</h2>", 1)[1].split("<h2>", 1)[0]


def test_what_changed_names_problems_won_and_lost(page):
    changed = section(page, "What changed")
    assert "night 2026-11-30" in changed and "correct_rate" in changed
    assert "<b>1 problems solved that last night's model never solved</b>:\nnew" in changed.replace(
        "&#39;", "'"
    )
    assert "<b>1 problems lost that last night's model solved</b>:\nlost" in changed.replace("&#39;", "'")


def test_new_kernels_regressions_and_failures_have_their_source(page):
    kernels = section(page, "Best new kernels")
    assert "new \u00b7 level 1 \u00b7 relu \u00b7 2.50x" in kernels and "lost" not in kernels
    assert '<span class="' in kernels  # syntax colours
    assert "lost \u00b7 level 2" in section(page, "Regressions")
    failures = section(page, "Why kernels failed")
    assert (
        "<h3>wrong: 66.7 % \u2192 33.3 %</h3>" in failures
        and "<h3>cheated: 0.0 % \u2192 33.3 %</h3>" in failures
    )
    assert "1.105x" in section(page, "The decision")


def test_curves_and_the_heat_map_are_drawn(page):
    assert section(page, "Learning curves").count("<svg") == 2
    heat = section(page, "Operators by level")
    assert "<th>relu</th>" in heat and "100 %" in heat and heat.count("<tr>") == 3


def test_the_list_holds_every_problem_with_what_it_is_filtered_by(page):
    problems = section(page, "All problems")
    assert problems.count("<details data-text=") == 3 and "data-change='worse'" in problems
    assert "<option>cheated</option>" in problems
    assert problems.index("lost ") < problems.index("new ")


def test_a_curve_of_one_point_or_of_nothing_finite_is_left_out():
    assert line_chart("loss", {"a": [(1, 2.0)], "b": [(1, float("nan")), (2, float("inf"))]}) == ""
    assert "<polyline" in line_chart("loss", {"a": [(1, 2.0), (2, 2.0)]})
    assert "50 %" in heat_map(["level 1"], {"relu": [(0.5, 3)], "sum": [None]})


ROLLOUTS = [
    {"step": step, "problem_id": f"p{group}", "group": group, "reward": float(i + step) if group else 1.0,
     "status": "correct" if i else HOSTILE, "reason": HOSTILE, "tokens": 9, "truncated": False,
     "response": HOSTILE}
    for step in range(1, 20) for group in range(2) for i in range(2)
]  # fmt: skip


def test_rollouts_show_their_advantage_and_stay_text():
    page = trajectories_page("n", ROLLOUTS, {"p1": HOSTILE}, Advantage.DR_GRPO)
    found = Tags(page)
    assert "script" not in found.tags and "img" not in found.tags and not found.handlers
    assert page.count("<h2>Step ") == 8 and "<h2>Step 1<" in page and "<h2>Step 19<" in page
    assert "+0.500" in page and "-0.500" in page and "+0.000" in page
    assert "p1: 19 steps, best reward\n2.000 &rarr; 20.000" in page


def test_a_night_without_rollouts_has_a_page():
    assert "0 of 0 steps" in trajectories_page("n", [], {}, Advantage.GRPO)
