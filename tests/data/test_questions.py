"""A night of questions: their splits and solutions, what is left out, and the gate."""

import json

import pytest

from data.expectations.gate import validate
from data.expectations.suite import GateError
from data.external import read_external
from data.prepare import prepare
from data.settings import DataSettings
from data.sources.kind import Options
from data.sources.kinds import arithmetic
from data.sources.location import locate
from data.sources.readers import SourceError
from data.trusted import TrustedReference
from evaluation.errors import WarpsmithError
from evaluation.reference.pool import ReferencePool
from evaluation.settings import EvaluationSettings

ROWS = [
    {"prompt": [{"role": "user", "content": "What is the sum of the first two primes?"}], "label": "5"},
    {"prompt": "How many days has a week of seven days?", "label": 7},
    {"prompt": "A question that nobody has answered?"},
    {"prompt": "A question with an empty answer?", "label": " "},
    {"prompt": "How many corners has a square of side 2?", "label": "four"},
    {"prompt": "Which is the first question of the contest?", "label": "204"},
]
CONTEST = [{"prompt": "Which is the first question of the contest?", "label": "204"}]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared night and its headline metrics."""
    folder = tmp_path_factory.mktemp("questions")
    (folder / "train.jsonl").write_text(lines(ROWS))
    (folder / "contest.jsonl").write_text(lines(CONTEST))
    sources = ("arithmetic:80", f"dapo-math:{folder}/train.jsonl", f"aime:{folder}/contest.jsonl")
    settings = DataSettings(task="math", sources=sources, sft_rows=12)
    return folder / "out", prepare(settings, EvaluationSettings(workers=1), night="n", out=folder / "out")


def test_rows_are_as_training_reads_them(prepared):
    out, metrics = prepared
    train, heldout = (read(out / "prompts" / f"{split}.jsonl") for split in ("train", "heldout"))
    assert metrics["data/questions"] == 80 + 2 + 1
    assert metrics["data/sft_rows"] == 12
    assert (out / "problems.jsonl").read_text() == ""
    assert {row["metadata"]["source"].split(":")[0] for row in train} == {"arithmetic", "dapo-math"}
    assert {row["metadata"]["source"].split(":")[0] for row in heldout} == {"arithmetic", "aime"}
    assert all(row["metadata"]["task"] == "math" and row["prompt"][-1]["role"] == "user" for row in train)
    assert {row["label"] for row in train} > {"5", "7"}


def test_solutions_are_of_training_questions(prepared):
    out, _ = prepared
    trained = {row["metadata"]["problem_id"]: row["label"] for row in read(out / "prompts" / "train.jsonl")}
    for row in read(out / "sft.jsonl"):
        label = trained[row["metadata"]["problem_id"]]
        assert row["messages"][-1] == {"role": "assistant", "content": f"\\boxed{{{label}}}"}


def test_rows_without_a_label_and_leaked_ones_are_quarantined_with_a_sentence(prepared):
    out, _ = prepared
    reasons = [row["reason"] for row in read(out / "quarantine.jsonl")]
    assert sum("the row's answer is missing" in reason for reason in reasons) == 1
    assert sum("it must be a text or a number" in reason for reason in reasons) == 2
    assert sum("no whole number" in reason for reason in reasons) == 1
    assert sum("belongs to heldout" in reason for reason in reasons) == 1
    assert len(reasons) == 4


def test_the_gate_judges_questions_and_solutions(prepared, tmp_path):
    out, _ = prepared
    assert validate(out, tmp_path / "right")["gate/questions"] == 83
    tables = {outcome["table"] for outcome in json.loads((tmp_path / "right" / "result.json").read_text())}
    assert tables == {"math", "solutions"}
    prompts = out / "prompts" / "train.jsonl"
    before = prompts.read_text()
    try:
        prompts.write_text(before.replace('"label": "5"', '"label": "five"'))
        with pytest.raises(GateError, match="whole_numbers"):
            validate(out, tmp_path / "wrong")
    finally:
        prompts.write_text(before)


def test_a_label_that_the_verifier_cannot_read_is_quarantined(tmp_path):
    rows = [{"prompt": f"Question {label}?", "label": label} for label in ("\\frac12", "\\text{}", "}}")]
    (tmp_path / "rows.jsonl").write_text(lines(rows))
    settings = DataSettings(task="math", sources=(f"slime:{tmp_path}/rows.jsonl",))
    prepare(settings, EvaluationSettings(workers=1), night="n", out=tmp_path / "out")
    assert [row["label"] for row in read(tmp_path / "out" / "prompts" / "train.jsonl")] == ["\\frac12"]
    assert all("is no answer" in row["reason"] for row in read(tmp_path / "out" / "quarantine.jsonl"))


def test_questions_and_programs_are_taken_by_their_own_tasks(tmp_path):
    for settings, said in (
        ({"sources": ("arithmetic:10",)}, "arithmetic:10 holds questions; with `data.task: kernel`"),
        ({"task": "math", "sources": ("generator:1",)}, "generator:1 holds programs; with `data.task: math`"),
    ):
        with (
            TrustedReference() as trusted,
            ReferencePool(1) as confined,
            pytest.raises(WarpsmithError, match=said),
        ):
            read_external(DataSettings(**settings), "n", [], confined, trusted, print)


def drawn(number, **options):
    location = locate(f"arithmetic:{number}")
    return [row.fields["question"] for row in arithmetic.read(location, Options(**options))]


def test_arithmetic_is_right_and_differs_by_night_in_training_alone():
    first, second = drawn(200, night="a"), drawn(200, night="b")
    assert len({question.id for question in first}) == 200
    assert first[:60] == second[:60]
    assert first[60:] != second[60:]
    assert drawn(200, night="a") == first
    for question in first:
        said = question.messages[0]["content"].removeprefix("What is ").split("?")[0]
        left, sign, right = said.split()
        assert int(question.label) == int(left) + int(right) * (1 if sign == "+" else -1)
        assert question.solution == f"\\boxed{{{question.label}}}"


def test_more_sums_than_there_are_is_one_sentence():
    with pytest.raises(SourceError, match="asks for more than there is"):
        drawn(30_000)
