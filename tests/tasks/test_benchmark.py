"""`python -m tasks.benchmark`: a model folder, a registered model or a file of responses becomes a report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.chain import Layout, Step, chain
from data.operators.registry import OPERATORS
from data.prompts import render
from data.rendering import problem as problem_of
from data.settings import PromptStyle
from evaluation.problem import Split
from tasks.benchmark import main
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout as Folders
from tasks.profile import load_profile
from tasks.registry import Registry
from tasks.registry import main as registry_main
from tasks.tracking.runs import Tracking
from tests.tasks import tiny_steps

KERNEL = """```cuda
// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = fmaxf(x[i], 0.f);
}
```"""


@pytest.fixture
def problem(checkout):
    found = problem_of(chain([Step(OPERATORS["relu"])], Layout.VECTOR), Split.HELDOUT, 2e-4)
    Path("problems.jsonl").write_text(found.model_dump_json() + "\n")
    return found


@pytest.fixture
def model(problem):
    from training.checkpoint.base import make_base

    make_base(
        load_profile(Folders(Path(), "cpu")).model,
        [render(problem, PromptStyle.SHORT), KERNEL],
        Path("model"),
        0,
    )
    return Path("model")


def run(model: str, *more: str) -> int:
    return main(["--model", model, "--problems", "problems.jsonl", "--out", "out", *more])


def test_a_file_of_responses(problem, capsys):
    rows = [{"problem_id": problem.id, "response": text} for text in (KERNEL, "I cannot")]
    Path("responses.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert run("responses.jsonl") == 0
    assert capsys.readouterr().out.startswith("pass@1 50.0%, pass@2 100.0% on 1 problem; out/report.html")
    tracking = Tracking(Folders(Path(), "cpu"))
    (logged,) = tracking.client.search_runs([tracking.experiment])
    assert logged.data.metrics["benchmark/pass_at_2"] == 1.0
    artifacts = {entry.path for entry in tracking.client.list_artifacts(logged.info.run_id)}
    assert {"report.html", "report.json", "responses.jsonl", "table.json", "kernels"} <= artifacts


def test_a_folder_in_kernelbenchs_measures(checkout, capsys):
    folder = Path("set/level1")
    folder.mkdir(parents=True)
    text = "import torch\nn = 4096\ndef get_inputs():\n    return [torch.randn(n)]\n"
    (folder / "1_relu.py").write_text(text + "def fused_operator(x):\n    return torch.relu(x)\n")
    (folder / "2_bad.py").write_text("import os\n")
    row = {"problem_id": "level1-1-relu", "response": KERNEL}
    Path("responses.jsonl").write_text(json.dumps(row))
    arguments = ["--model", "responses.jsonl", "--problems", "set", "--out", "out"]
    assert main([*arguments, "--preset", "kernelbench"]) == 0
    found = json.loads(Path("out/kernelbench.json").read_text())
    assert [(level["name"], level["correct"]) for level in found["levels"]] == [("all", 1.0), ("1", 1.0)]
    assert list(found["refused"]) == ["level1/2_bad.py"]
    assert found["levels"][0]["against"] == {}
    assert "1 problems of the set were left out" in Path("out/kernelbench.md").read_text()


def test_only_what_was_judged_is_counted_and_only_what_was_written_is_uploaded(problem, capsys):
    other = problem.model_copy(update={"id": "another"})
    with Path("problems.jsonl").open("a") as file:
        file.write(other.model_dump_json() + "\n")
    Path("responses.jsonl").write_text(json.dumps({"problem_id": problem.id, "response": KERNEL}))
    Path("out").mkdir()
    Path("out", "mine.txt").write_text("")
    assert run("responses.jsonl") == 0
    assert capsys.readouterr().out.startswith("pass@1 100.0% on 1 problem;")
    assert "<td>samples per problem</td><td>1</td>" in Path("out/report.html").read_text()
    tracking = Tracking(Folders(Path(), "cpu"))
    (logged,) = tracking.client.search_runs([tracking.experiment])
    assert "mine.txt" not in {entry.path for entry in tracking.client.list_artifacts(logged.info.run_id)}


def test_the_number_of_samples_of_a_file_is_its_own(problem, capsys):
    Path("responses.jsonl").write_text(json.dumps({"problem_id": problem.id, "response": KERNEL}))
    assert run("responses.jsonl", "-n", "2") == 2
    assert capsys.readouterr().err == (
        "error: responses.jsonl is a file of responses, which has its own number of them; omit -n\n"
    )


def test_problems_may_be_rows_as_published(problem, capsys):
    rows = [{"pytorch": problem.shipped.program, "difficulty": 2}, {"pytorch": "def fused_operator(x:"}]
    Path("problems.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("responses.jsonl").write_text(json.dumps({"problem_id": "problems-00001", "response": KERNEL}))
    assert run("responses.jsonl") == 0
    out, err = capsys.readouterr()
    assert out.startswith("pass@1 100.0% on 1 problem;")
    assert err.startswith("1 of 2 rows of problems.jsonl are no problems and left out; problems.jsonl:2: ")


@pytest.mark.parametrize("number", ["0", "two", "²"])
def test_a_wrong_number_of_samples_is_said_so(problem, capsys, number):
    with pytest.raises(SystemExit):
        run("nowhere", "-n", number)
    assert f"must be a number from 1 on, not {number!r}" in capsys.readouterr().err


def test_a_model_folder_is_sampled(model, problem):
    assert run(str(model), "-n", "2") == 0
    lines = Path("out/responses.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1]


@pytest.fixture
def registered(model):
    """The model as the champion of a night whose benchmark is the tiny one."""
    layout = Folders(Path(), "cpu")
    tiny_steps.evaluate(SimpleNamespace(out=Path()))
    registry = Registry(Tracking(layout))
    registry.promote(registry.register("2026.1", model, Path("report.json"), path_md5(model)))
    return "models:/warpsmith-cpu@champion"


def test_a_registered_model_is_found_by_its_alias(registered):
    assert run(registered, "-n", "1") == 0


def test_a_registered_model_is_loaded_by_mlflow_and_by_transformers(registered, capsys):
    import mlflow
    import pandas as pd
    from transformers import AutoModelForCausalLM

    loaded = mlflow.pyfunc.load_model(registered)
    assert loaded.metadata.signature.inputs.input_names() == ["prompt"]
    prompts = pd.DataFrame({"prompt": ["Write a kernel.", "Another."]})
    assert [type(text) for text in loaded.predict(prompts, params={"max_new_tokens": 4})] == [str, str]
    assert loaded.input_example["prompt"].tolist() == ["Write a CUDA kernel that adds two vectors."]
    capsys.readouterr()
    assert registry_main([registered]) == 0
    AutoModelForCausalLM.from_pretrained(capsys.readouterr().out.strip())
    assert registry_main(["models:/warpsmith-cpu/9"]) == 2
    assert "there is no registered model models:/warpsmith-cpu/9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "words"),
    [("nowhere", "is no model"), ("models:/warpsmith-cpu@champion", "there is no registered model")],
)
def test_a_wrong_model_is_one_sentence(problem, capsys, model, words):
    assert run(model) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert words in error


def test_a_split_without_problems_is_one_sentence(problem, capsys):
    assert run("nowhere", "--split", "train") == 2
    assert "problems.jsonl has no train problems" in capsys.readouterr().err
