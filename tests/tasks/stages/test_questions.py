"""The held-out questions of a night: their answers are judged, and their part of the report written."""

import json

import pytest

from evaluation.errors import WarpsmithError
from evaluation.report.comparison import read_comparison
from evaluation.report.figures import Figures
from evaluation.report.summary import Contender
from evaluation.settings import EvaluationSettings
from tasks.stages.questions import Answered, Questions
from tests.tasks.models.test_gate import FIRST_HALF, benchmark
from training.rollout.prompts import PromptRow


def row(name, label, **metadata):
    about = {"problem_id": name, "source": "aime:x", **metadata}
    return PromptRow(prompt=({"role": "user", "content": f"What is {name}?"},), label=label, metadata=about)


ROWS = [row("q1", "5", task="math"), row("q2", "\\frac12", task="math"), row("p0", "p0")]


def answers():
    """The start knows nothing; the trained model all but one, whose answer was cut off."""
    texts = {
        (Contender.START, "q1"): "\\boxed{4}", (Contender.START, "q2"): "no idea",
        (Contender.TRAINED, "q1"): "\\boxed{5}", (Contender.TRAINED, "q2"): "<think> \\boxed{0.5}",
    }  # fmt: skip
    kernels = [Answered(contender, "p0", 0, "a kernel", 9, False) for contender in Contender]
    return kernels + [
        Answered(contender, name, 0, text, len(text), "<think>" in text)
        for (contender, name), text in texts.items()
    ]


@pytest.fixture
def judged():
    questions = Questions.of(ROWS)
    return questions, questions.judge(answers(), EvaluationSettings(workers=1))


def test_the_report_of_questions(judged, tmp_path):
    questions, samples = judged
    found = questions.write(samples, {"night": "n"}, tmp_path)
    assert (found.start.correct, found.trained.correct, found.trained.truncated) == (0, 0.5, 0.5)
    assert read_comparison((tmp_path / "report.json").read_text()) == found
    assert "What is q1?" in (tmp_path / "report.html").read_text()
    rows = [json.loads(line) for line in (tmp_path / "responses.jsonl").read_text().splitlines()]
    assert [row["verdict"]["status"] for row in rows] == ["wrong", "no_answer", "correct", "no_answer"]


def test_a_mixed_report_holds_both_and_pools_them(judged, tmp_path):
    questions, samples = judged
    figures = {name: Figures(correct=share) for name, share in FIRST_HALF.items()}
    kernels = benchmark(FIRST_HALF).model_copy(update={"figures": dict.fromkeys(Contender, figures)})
    (tmp_path / "report.html").write_text("<html>kernels</html>\n")
    (tmp_path / "responses.jsonl").write_text('{"of": "kernels"}\n')
    found = questions.add_to(kernels, samples, tmp_path)
    assert found.gain.mean == pytest.approx(0.5 * 2 / 42)
    assert read_comparison((tmp_path / "report.json").read_text()) == found
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<html>kernels") and "What is q2?" in page and page.count("</html>") == 1
    assert len((tmp_path / "responses.jsonl").read_text().splitlines()) == 5


def test_a_night_without_held_out_questions_says_where_to_get_some():
    with pytest.raises(WarpsmithError, match="no held-out questions"):
        Questions.of(ROWS[2:])
