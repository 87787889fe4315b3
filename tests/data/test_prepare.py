"""The prepare stage: its files, their determinism, and what it leaves out."""

import json

import pytest

from data import prepare as stage
from data import prepared as files
from data.expectations.gate import validate
from data.prepare import prepare
from data.prompts import render
from data.settings import Counts
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Measurements, Status, Verdict
from tests.data.toy import toy

SMALL = toy(
    level1_per_operator=1,
    train=Counts(level2=6, level3=4),
    validation=Counts(level2=1, level3=1),
    heldout=Counts(level2=3, level3=3),
    sft_rows=60,
)
CORRECT = Verdict(
    status=Status.CORRECT, reason="equal", measurements=Measurements(instances=2, max_error=0.1)
)
WRONG = Verdict(status=Status.WRONG, reason="out[3] is 1, expected 2")
PROGRAM = (
    "import torch\nrows = 256\ncols = 96\n"
    "def get_inputs():\n    return [torch.randn(rows, cols), torch.randn(rows, cols)]\n"
    "def fused_operator(left, right):\n    return [torch.lerp(left, right, 0.3)]\n"
)
SOURCE = [
    json.dumps({"pytorch": PROGRAM, "difficulty": 1}),
    json.dumps({"pytorch": PROGRAM.replace("left", "first") + "# again\n"}),
    "{not json",
    json.dumps({"pytorch": PROGRAM.replace("torch.lerp(left, right, 0.3)", "left * missing")}),
    json.dumps({"pytorch": PROGRAM.replace("torch.lerp(left, right, 0.3)", "left - left")}),
]


class Scripted:
    """Stands in for the evaluator: grid-stride kernels are wrong, all others correct."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def evaluate(self, requests, *, seed, sizes, progress=None):
        return [WRONG if "gridDim" in request.response else CORRECT for request in requests]


def _run(out, settings=SMALL, night="2026-12-01"):
    said = []
    metrics = prepare(settings, EvaluationSettings(workers=2), night=night, out=out, say=said.append)
    return metrics, said


def _rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _bytes(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(stage, "EvaluationPool", Scripted)


@pytest.fixture
def folder(scripted, tmp_path):
    _run(tmp_path / "prepare")
    return tmp_path / "prepare"


def test_every_file_of_the_contract_is_there(folder):
    names = {str(name) for name in _bytes(folder)}
    prompts = {f"prompts/{split}.jsonl" for split in ("train", "validation", "heldout")}
    assert names == prompts | {
        "problems.jsonl",
        "outputs.csv",
        "sft.jsonl",
        "quarantine.jsonl",
        "summary.json",
    }


def test_prompts_are_slime_rows_of_their_split(folder):
    problems = {row["id"]: Problem.model_validate(row) for row in _rows(folder / "problems.jsonl")}
    found = []
    for split in ("train", "validation", "heldout"):
        for row in _rows(folder / "prompts" / f"{split}.jsonl"):
            problem = problems[row["label"]]
            content = render(problem, SMALL.prompt_style)
            assert row["prompt"] == [{"role": "user", "content": content}]
            assert row["metadata"] == {
                "problem_id": problem.id,
                "level": problem.level,
                "operators": list(problem.operators),
                "split": split,
            }
            assert problem.split == split
            found.append(problem.id)
    assert sorted(found) == sorted(problems)


def test_sft_rows_hold_kernels_that_passed(folder):
    rows = _rows(folder / "sft.jsonl")
    trained = {row["label"]: row for row in _rows(folder / "prompts" / "train.jsonl")}
    for row in rows:
        question, answer = row["messages"]
        assert [question] == trained[row["metadata"]["problem_id"]]["prompt"]
        assert answer["content"].startswith("```cuda\n") and answer["content"].endswith("\n```")
        unguarded = row["metadata"]["style"] == "unguarded"
        assert row["metadata"]["verified"] == ("aligned" if unguarded else "checks")
    assert not any(row["metadata"]["style"] == "grid_stride" for row in rows)


def test_refused_kernels_are_quarantined_and_counted(folder):
    summary = json.loads((folder / "summary.json").read_text())
    refused = _rows(folder / "quarantine.jsonl")
    assert refused and all(row["kind"] == "kernel" and "gridDim" in row["text"] for row in refused)
    assert refused[0]["reason"] == "wrong: out[3] is 1, expected 2"
    assert summary["sft"]["failed"] == summary["quarantined"]["kernel"] == len(refused)
    assert summary["sft"]["rows"] == len(_rows(folder / "sft.jsonl"))


def test_metrics_agree_with_the_files(scripted, tmp_path):
    metrics, said = _run(tmp_path / "out")
    assert metrics["data/problems"] == len(_rows(tmp_path / "out" / "problems.jsonl"))
    assert metrics["data/heldout"] == 6 and metrics["data/validation"] == 2
    assert metrics["data/sft_rows"] == len(_rows(tmp_path / "out" / "sft.jsonl"))
    assert any("problems drawn" in line for line in said)


def test_the_same_night_gives_the_same_bytes(folder, tmp_path):
    _run(tmp_path / "again")
    assert _bytes(tmp_path / "again") == _bytes(folder)


def test_another_night_has_other_training_problems_and_the_same_held_out(folder, tmp_path):
    _run(tmp_path / "next", night="2026-12-02")
    first, second = _bytes(folder), _bytes(tmp_path / "next")
    changed = {str(name) for name in first if first[name] != second[name]}
    assert {"prompts/train.jsonl", "sft.jsonl", "problems.jsonl"} <= changed
    assert not {"prompts/heldout.jsonl", "prompts/validation.jsonl"} & changed


def test_the_gate_accepts_what_prepare_wrote(folder, tmp_path):
    assert validate(folder, tmp_path / "gate")["gate/critical_failed"] == 0


def test_an_extra_source_is_read_counted_and_split(scripted, tmp_path):
    source = tmp_path / "extra.jsonl"
    source.write_text("\n".join(SOURCE) + "\n")
    metrics, _ = _run(tmp_path / "out", SMALL.model_copy(update={"sources": (source,)}))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["sources"]["extra.jsonl"] == 1
    assert summary["duplicates"] == {"extra.jsonl": 1}
    assert summary["quarantined"]["row"] == 3
    assert metrics["data/duplicates"] == 1
    refused = {row["name"]: row["reason"] for row in _rows(tmp_path / "out" / "quarantine.jsonl")}
    assert "not valid JSON" in refused["extra.jsonl:3"]
    assert "missing" in refused["extra.jsonl:4"]
    (external,) = [
        row for row in _rows(tmp_path / "out" / "problems.jsonl") if row["source"] == "extra.jsonl"
    ]
    assert external["operators"] == ["lerp"] and external["checks"]
    assert validate(tmp_path / "out", tmp_path / "gate")["gate/critical_failed"] == 0


def test_a_source_that_repeats_a_generated_program_adds_nothing(folder, tmp_path):
    program = _rows(folder / "problems.jsonl")[0]["shipped"]["program"]
    source = tmp_path / "copy.jsonl"
    source.write_text(json.dumps({"program": f"# copied\n{program}"}) + "\n")
    metrics, _ = _run(tmp_path / "out", SMALL.model_copy(update={"sources": (source,)}))
    assert metrics["data/duplicates"] == 1
    assert metrics["data/problems"] == len(_rows(folder / "problems.jsonl"))


def test_a_missing_source_is_named_and_nothing_is_written(scripted, tmp_path):
    settings = SMALL.model_copy(update={"sources": (tmp_path / "nowhere.jsonl",)})
    with pytest.raises(WarpsmithError, match="nowhere"):
        _run(tmp_path / "out", settings)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_earlier_files_alone(folder, monkeypatch):
    before = _bytes(folder)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "to_csv", no_space)
    with pytest.raises(OSError, match="No space"):
        _run(folder, night="2026-12-02")
    assert _bytes(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.slow
def test_the_real_evaluator_accepts_every_kernel(tmp_path):
    settings = SMALL.model_copy(update={"sft_rows": 40})
    metrics, said = _run(tmp_path / "out", settings)
    assert metrics["data/kernels_failed"] == 0
    assert metrics["data/sft_rows"] == 40
    assert metrics["data/unguarded_share"] == 0.5
    assert said[-1] == "verified 40 of 40 kernels"
