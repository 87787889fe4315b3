"""`python -m evaluation benchmark`: a file of responses becomes a report, a bad file one sentence."""

from __future__ import annotations

import json

import pytest

from evaluation.__main__ import main
from evaluation.report import run as benchmark_run
from evaluation.report.finalists import Finalist
from evaluation.report.summary import Benchmark, Rates, Sample

GOOD = """```cuda
// launch k<<<ceil_div(n, 128), 128>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + x[i];
}
```"""
BAD = GOOD.replace("+ x[i]", "+ 1.f")


@pytest.fixture
def run(tmp_path, capsys, double, one_reference):
    """Runs the command on these lines; gives the exit status, what was printed, and the output folder."""

    def invoke(rows):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "responses.jsonl").write_text("\n".join(lines))
        (tmp_path / "problems.jsonl").write_text(double.model_dump_json() + "\n")
        status = main(
            [
                "benchmark", "--responses", str(tmp_path / "responses.jsonl"),
                "--problems", str(tmp_path / "problems.jsonl"), "--out", str(tmp_path / "out"),
                "--workers", "1",
            ]
        )  # fmt: skip
        return status, *capsys.readouterr(), tmp_path / "out"

    return invoke


def row(response, contender=None):
    found = {"problem_id": "test", "response": response}
    return found if contender is None else found | {"contender": contender}


def test_one_models_responses(run, simt):
    status, out, err, folder = run([row(GOOD), row(BAD)])
    assert (status, err) == (0, "")
    assert out.startswith("correct@1: 50.0% of 2 samples; the report is ")
    found = Rates.model_validate_json((folder / "report.json").read_text())
    assert found.pass_at_k == {1: 0.5, 2: 1.0}
    lines = (folder / "responses.jsonl").read_text().splitlines()
    assert [Sample.model_validate_json(line).index for line in lines] == [0, 1]
    assert "50.0 %" in (folder / "report.html").read_text()
    rows = [json.loads(line) for line in (folder / "table.jsonl").read_text().splitlines()]
    assert [(row["problem"], row["correct_rate"], row["kernel"]) for row in rows] == [("test", 0.5, GOOD)]


def test_a_thought_that_the_prompt_opened_must_end(run, simt):
    rows = [row(f"{thought}\n{GOOD}") | {"thought_open": True} for thought in ("A draft:", "So.</think>")]
    _, out, _, folder = run(rows)
    assert out.startswith("correct@1: 50.0% of 2 samples")
    lines = (folder / "responses.jsonl").read_text().splitlines()
    assert all(Sample.model_validate_json(line).response.startswith("<think>") for line in lines)


def test_the_best_kernel_is_kept_as_a_file_that_check_accepts(run, simt, capsys):
    _, _, _, folder = run([row(BAD), row(GOOD)])
    kernels = folder / "kernels"
    assert main(["check", str(kernels / "test.md"), "--program", str(kernels / "test.py")]) == 0
    assert capsys.readouterr().out.startswith("correct: ")
    finalist = Finalist.model_validate_json((kernels / "finalists.jsonl").read_text())
    assert (finalist.index, finalist.speedup) == (1, None)
    assert finalist.sanitizer.startswith("not run: the simt backend")


def test_a_single_model_may_have_any_name(run, simt):
    status, _, _, folder = run([row(GOOD, "start")])
    assert status == 0 and (folder / "kernels" / "test.md").exists()


def test_two_models_are_compared(run, simt):
    status, _, _, folder = run([row(BAD, "start"), row(GOOD, "trained")])
    assert status == 0
    assert Benchmark.model_validate_json((folder / "report.json").read_text()).gain.mean == 1.0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no responses"),
        (["{"], "line 1 of"),
        ([row(GOOD), '{"problem_id": 3}'], "line 2 of"),
        (["[" * 100_000], "it is not JSON"),
        ([{"problem_id": "nothing", "response": ""}], "'nothing'"),
    ],
)
def test_a_bad_file_is_one_sentence(run, rows, words):
    status, out, err, _ = run(rows)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_unequal_numbers_of_responses_are_refused(run, simt):
    status, _, err, _ = run([row(GOOD, "start"), row(GOOD, "trained"), row(BAD, "trained")])
    assert status == 2
    assert "same number" in err


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_judged(run, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_run, "judge_drafts", None)
    (tmp_path / "out").write_text("a file")
    status, out, err, folder = run([row(GOOD)])
    assert (status, out) == (2, "")
    assert err == f"error: the folder {folder} cannot be written to (File exists); name another with --out\n"


def test_a_second_run_keeps_no_kernels_of_the_first(run, simt):
    run([row(GOOD)])
    _, _, _, folder = run([row(BAD)])
    assert [path.name for path in (folder / "kernels").iterdir()] == ["finalists.jsonl"]
