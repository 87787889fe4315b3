"""Preparing sources from the command line: the files, the numbers, and what is said of bad input."""

from __future__ import annotations

import json

import pytest

from data.sources.command import main
from tests.data.sources.programs import program, write


@pytest.fixture(autouse=True)
def shared_pool(one_reference, monkeypatch):
    """All runs share the confined pool."""
    from evaluation.reference import pool

    monkeypatch.setattr("data.sources.run.ReferencePool", pool.ReferencePool)


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command into a fresh folder: the exit status, the manifest, the files, what was printed."""

    def runs(*arguments, out=tmp_path / "out", gate=()):
        status = main([*map(str, arguments), "--out", str(out), *(gate or ["--no-gate"])])
        files = {path.name: path.read_text() for path in out.glob("*.*")}
        return status, json.loads(files.get("manifest.json", "null")), files, capsys.readouterr()

    return runs


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_files_and_numbers_of_two_sources(tmp_path, run):
    source = write(tmp_path / "rows.jsonl", [
        {"pytorch": program("relu"), "difficulty": 2},
        {"pytorch": program("relu"), "difficulty": 2},
        {"pytorch": program("relu", shape="[100, 300]")},
        {"pytorch": program("tanh")},
        b"{broken",
    ])  # fmt: skip
    status, manifest, files, printed = run("--source", f"torch2cuda:{source}", "--source", "generator:3")
    assert status == 0
    assert {name: manifest[name] for name in ("rows_in", "rows_out", "quarantined", "duplicates")} == {
        "rows_in": 8, "rows_out": 5, "quarantined": 1, "duplicates": 2,
    }  # fmt: skip
    assert manifest["duplicates_by_reason"] == {"same graph": 1, "same text": 1}
    assert manifest["quarantined_by_reason"] == {"not JSON": 1}
    rows, problems = rows_of(files["rows.jsonl"]), rows_of(files["problems.jsonl"])
    assert [row["label"] for row in rows] == [problem["id"] for problem in problems]
    assert rows[0]["metadata"]["place"] == "rows.jsonl:1" and rows[0]["metadata"]["level"] == 2
    assert "torch.relu" in rows[0]["prompt"][0]["content"]
    assert len(files["outputs.csv"].splitlines()) == 1 + len(problems)
    (left_out,) = rows_of(files["quarantine.jsonl"])
    assert (left_out["place"], left_out["row"]) == ("rows.jsonl:5", "{broken")
    assert manifest["data_version"] in files["datasheet.md"] and "generator:3" in files["datasheet.md"]
    assert "8 rows in: 5 kept, 1 quarantined, 2 duplicates" in printed.out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_sources_give_the_same_bytes(tmp_path, run):
    source = write(tmp_path / "rows.jsonl", [{"pytorch": program(name)} for name in ("relu", "tanh", "sin")])
    asked = ("--source", f"torch2cuda:{source}", "--source", "generator:3")
    first, again = run(*asked), run(*asked, out=tmp_path / "again")
    assert first[2] == again[2]
    other = run(*asked, "--seed", "7", out=tmp_path / "other")
    assert first[2]["problems.jsonl"] != other[2]["problems.jsonl"]


def test_what_is_held_out_is_not_trained_on(tmp_path, run):
    train = write(tmp_path / "train.jsonl", [{"pytorch": program(name)} for name in ("relu", "sin")])
    (tmp_path / "bench" / "level1").mkdir(parents=True)
    (tmp_path / "bench" / "level1" / "19_ReLU.py").write_text(
        "import torch\nimport torch.nn as nn\n\nclass Model(nn.Module):\n    def forward(self, x):\n"
        "        return torch.relu(x)\n\ndef get_inputs():\n    return [torch.randn(16, 16384)]\n"
    )
    _, _, drawn, _ = run("--source", "generator:3", out=tmp_path / "drawn")
    known = rows_of(drawn["problems.jsonl"])[0]["shipped"]["program"]
    (tmp_path / "bench" / "level2" / "1_Known.py").parent.mkdir()
    (tmp_path / "bench" / "level2" / "1_Known.py").write_text(known)
    asked = ("--source", f"torch2cuda:{train}", "--source", "generator:3")
    status, manifest, files, _ = run(*asked, "--source", f"kernelbench:{tmp_path / 'bench'}")
    assert status == 0
    rows = rows_of(files["rows.jsonl"])
    sides = {row["metadata"]["graph"]: row["metadata"]["split"] for row in rows}
    assert len(sides) == len(rows)
    assert [row["label"] for row in rows[:2]] == ["level1-19-ReLU", "level2-1-Known"]
    assert {sides[row["metadata"]["graph"]] for row in rows[:2]} == {"heldout"}
    contaminated = [row for row in rows_of(files["quarantine.jsonl"]) if row["reason"].startswith("also on")]
    assert {row["place"].split(":")[0] for row in contaminated} == {"train.jsonl", "generator"}
    assert all(
        "level1-19-ReLU" in row["sentence"] or "level2-1-Known" in row["sentence"] for row in contaminated
    )
    numbers = [manifest[name] for name in ("rows_out", "quarantined", "duplicates")]
    assert manifest["rows_in"] == sum(numbers) == 7


def test_what_is_prepared_is_judged_and_compared(tmp_path, run):
    source = write(tmp_path / "rows.jsonl", [{"pytorch": program("relu")}, {"pytorch": program("tanh")}])
    math = write(tmp_path / "dapo.jsonl", [QUESTION])
    asked = ("--source", f"torch2cuda:{source}", "--source", f"dapo-math:{math}")
    status, _, files, printed = run(*asked, gate=["--baseline", str(tmp_path)])
    outcomes = json.loads(files["expectations.json"])
    assert status == 0 and {item["table"] for item in outcomes} == {"problems", "prompts", "math"}
    assert all(item["success"] for item in outcomes if item["severity"] == "critical")
    assert (tmp_path / "out" / "docs" / "index.html").is_file()
    profile = json.loads(files["data.json"])
    assert profile["operators"] == {"relu": 0.5, "tanh": 0.5}
    (tmp_path / "data.json").write_text(json.dumps(profile | {"operators": {"relu": 1.0}}))
    status, _, _, printed = run(*asked, out=tmp_path / "again", gate=["--baseline", str(tmp_path)])
    assert status == 0 and "not met:" in printed.err and "no_new_operators" in printed.err


QUESTION = {"prompt": [{"role": "user", "content": "What is 2 + 3?"}], "label": 5}


def test_questions_become_slime_rows(tmp_path, run):
    dapo = write(tmp_path / "dapo.jsonl", [
        QUESTION,
        {"prompt": "What is 7 * 6?", "reward_model": {"ground_truth": "42", "style": "rule"}},
        {"prompt": "what is $2 + 3$", "label": "5"},
        {"prompt": "what is $2 + 3$ ?", "label": "6"},
        {"prompt": "What is x?", "label": "x"},
        {"prompt": [], "label": "1"},
    ])  # fmt: skip
    aime = write(tmp_path / "aime.jsonl", [
        {"Problem": "What is 7 * 6?", "Answer": "042"},
        {"problem": "Too much?", "answer": "1000"},
    ])  # fmt: skip
    status, manifest, files, _ = run("--source", f"dapo-math:{dapo}", "--source", f"aime:{aime}")
    assert status == 0
    rows = rows_of(files["rows.jsonl"])
    assert [(row["label"], row["metadata"]["split"]) for row in rows] == [("42", "heldout"), ("5", "train")]
    assert rows[1]["prompt"] == QUESTION["prompt"]
    assert manifest["quarantined_by_reason"] == {
        "also on the other side of a split": 1,
        "contradicts itself or another row": 1,
        "field missing or unusable": 3,
    }
    assert manifest["duplicates"] == 1


def test_slime_rows_have_the_columns_that_flags_name(tmp_path, run):
    rows = [{"text": f"Say {number}.", "answer": str(number), "extra": '{"n": 1}'} for number in range(10)]
    source = write(tmp_path / "rows.jsonl", rows)
    keys = ("--input-key", "text", "--label-key", "answer", "--metadata-key", "extra")
    status, manifest, files, _ = run("--source", f"slime:{source}@[2:5]", *keys)
    found = rows_of(files["rows.jsonl"])
    assert status == 0 and manifest["rows_in"] == 3
    assert [row["label"] for row in found] == ["2", "3", "4"] and found[0]["metadata"]["n"] == 1
    assert found[0]["metadata"]["place"] == "rows.jsonl:3"
    status, manifest, files, _ = run("--source", f"slime:{source}", out=tmp_path / "wrong")
    assert status == 1 and manifest["quarantined"] == 10
    assert "--input-key" in rows_of(files["quarantine.jsonl"])[0]["sentence"]


CODE = """
#include <torch/extension.h>
__global__ void f(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaxf(x[i], 0.f);
}
torch::Tensor fused_operator(torch::Tensor x) {
    auto y = torch::empty_like(x);
    f<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<float>(), y.data_ptr<float>(), x.numel());
    return y;
}
"""


def test_of_supervised_rows_only_right_answers_stay(tmp_path, run):
    drawn, computed = program("relu", "[96, 40]").split("def fused_operator")
    row = {"pytorch_code": f"import torch\ndef fused_operator{computed}", "pytorch_inputs": drawn}
    right = {**row, "cuda_code": CODE, "is_pytorch_cuda_same": True, "compiler_error_msg": ""}
    source = write(tmp_path / "sft.jsonl", [
        right,
        right,
        {**right, "cuda_code": CODE.replace("256", "128")},
        {**right, "cuda_code": CODE.replace("0.f)", "1.f)")},
        {**right, "compiler_error_msg": "error: expected ;"},
        {**right, "cuda_code": CODE.replace("return y;", "return torch::relu(x);")},
        {**right, "cuda_code": None},
        {**right, "pytorch_code": None},
    ])  # fmt: skip
    gate = ["--baseline", str(tmp_path)]
    status, manifest, files, printed = run("--source", f"torch2cuda-sft:{source}", gate=gate)
    rows, answers = rows_of(files["rows.jsonl"]), rows_of(files["sft.jsonl"])
    assert status == 0, printed.err
    assert [row["metadata"]["place"] for row in rows] == ["sft.jsonl:1", "sft.jsonl:3"]
    assert [row["messages"] for row in rows] == [answer["messages"] for answer in answers]
    assert "// launch f<<<" in answers[0]["messages"][1]["content"]
    assert len(rows_of(files["problems.jsonl"])) == 1
    assert manifest["rows_in"] == 8 and manifest["rows_out"] == 2 and manifest["duplicates"] == 0
    assert manifest["quarantined_by_reason"] == {
        "calls a library": 1, "duplicate": 1, "field missing or unusable": 1,
        "label contradicts compiler output": 1, "no kernel": 1, "not correct": 1,
    }  # fmt: skip


def test_parquet_is_read_by_its_columns(tmp_path, run):
    pandas = pytest.importorskip("pandas")
    rows = {"code": [program("relu"), program("sin")], "level": [1, 2], "name": ["19_ReLU", "20_Sin"]}
    pandas.DataFrame({**rows, "problem_id": [19, 20]}).to_parquet(tmp_path / "kb.parquet")
    pandas.DataFrame({"other": [1, 2]}).to_parquet(tmp_path / "columns.parquet")
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "kb.parquet").read_bytes()[:300])
    sources = [f"kernelbench:{tmp_path / name}.parquet" for name in ("kb", "columns", "torn")]
    status, manifest, files, printed = run(*(word for source in sources for word in ("--source", source)))
    assert status == 1
    assert [row["label"] for row in rows_of(files["rows.jsonl"])] == ["level1-19-ReLU", "level2-20-Sin"]
    assert manifest["quarantined_by_reason"] == {"field missing or unusable": 2}
    assert "torn.parquet is no parquet file that can be read" in manifest["sources"][2]["error"]
    assert "torn.parquet" in printed.err


def test_a_repeated_id_is_quarantined(tmp_path, run):
    rows = [{"code": program(name), "name": "same", "problem_id": 1} for name in ("relu", "sin")]
    _, manifest, files, _ = run("--source", f"kernelbench:{write(tmp_path / 'rows.jsonl', rows)}")
    assert manifest["quarantined_by_reason"] == {"id taken": 1}
    assert "level1-1-same" in rows_of(files["quarantine.jsonl"])[0]["sentence"]


def test_two_files_of_one_name_have_ids_of_their_own(tmp_path, run):
    sources = []
    for folder, name in (("a", "relu"), ("b", "sin")):
        (tmp_path / folder).mkdir()
        sources += ["--source", write(tmp_path / folder / "rows.jsonl", [{"pytorch": program(name)}])]
    _, _, files, _ = run(*sources)
    assert [row["label"] for row in rows_of(files["rows.jsonl"])] == ["rows-00001", "rows-00001-2"]


HOSTILE = {
    "while True:\n    pass": "CPU",
    "torch.empty(1 << 40, dtype=torch.uint8, device='cpu').fill_(1)": "run",
    "import os\n    os.fork()": "run",
    "open('/tmp/warpsmith-was-here', 'w').write('x')": "run",
    "import sys\n    sys.exit(0)": "run",
}


@pytest.mark.slow
def test_hostile_programs_are_quarantined_and_the_rest_goes_on(tmp_path, run):
    plain = program("relu")
    hostile = [
        plain.replace("    return torch.relu", f"    {text}\n    return torch.relu") for text in HOSTILE
    ]
    rows = [{"pytorch": text} for text in [*hostile, program("sin")]]
    status, manifest, files, _ = run("--source", f"torch2cuda:{write(tmp_path / 'rows.jsonl', rows)}")
    assert status == 0 and manifest["rows_in"] == 6
    assert [row["label"] for row in rows_of(files["rows.jsonl"])] == ["rows-00006"]
    assert manifest["quarantined"] == 5


def test_a_row_of_a_hundred_megabytes_is_left_out_and_never_held(tmp_path, run):
    import tracemalloc

    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"pytorch": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + json.dumps({"pytorch": program("relu")}).encode())
    tracemalloc.start()
    _, manifest, files, _ = run("--source", f"torch2cuda:{path}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert manifest["quarantined_by_reason"] == {"line too long": 1} and manifest["rows_out"] == 1
    assert len(files["quarantine.jsonl"]) < 100_000
    assert peak < 48 << 20


def test_sources_that_cannot_be_read_stop_no_other(tmp_path, run):
    good = write(tmp_path / "rows.jsonl", [{"pytorch": program("relu")}])
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "nothing").mkdir()
    bad = ("empty.jsonl", "missing.jsonl", "nothing")
    sources = [f"torch2cuda:{tmp_path / name}" for name in (*bad, good.name)] + ["generator:none"]
    status, manifest, _, printed = run(*(word for source in sources for word in ("--source", source)))
    assert status == 1 and manifest["rows_out"] == 1
    errors = [source["error"] for source in manifest["sources"]]
    for error, said in zip(
        errors, ("has no rows", "No such file", "has no rows", None, "a number"), strict=True
    ):
        assert (error is None) if said is None else said in error and error in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name at least one --source"),
        (["--source", "torch2cuda:missing.jsonl"], "missing.jsonl cannot be read (No such file"),
        (["--source", "torch3cuda:rows.jsonl"], "unknown kind 'torch3cuda': did you mean torch2cuda"),
        (["--source", "zzz:rows.jsonl"], "known are aime, arithmetic,"),
        (["--source", "generator:0"], "a number of problems from 1 on"),
        (["--workers", "none"], "must be a number from 1 to 256"),
    ],
)
def test_a_wrong_command_is_one_sentence(run, arguments, said):
    status, manifest, _, printed = run(*arguments)
    assert status == 2 and manifest is None
    assert printed.err.splitlines()[-1].startswith("error: ") and said in printed.err


def test_a_name_on_the_hub_needs_the_package(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    status, *_, printed = run("--source", "kernelbench:someone/KernelBench")
    assert status == 2
    assert "without the package `datasets`" in printed.err
