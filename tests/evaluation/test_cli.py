"""`python -m evaluation check`: one verdict or one sentence, and its exit status, whatever the input."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.settings import BackendName
from tests.evaluation.cuda_kernels import missing

PROGRAM = """
import torch

rows = 256
cols = 96

def fused_operator(x):
    return torch.relu(x).sum(1)

def get_inputs():
    return [torch.randn(rows, cols)]
"""
GUARDED = """\
// launch k<<<ceil_div(rows, 128), 128>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float s = 0.f;
    for (int i = 0; i < cols; ++i) s += fmaxf(x[r * cols + i], 0.f);
    out[r] = s;
}
"""


@pytest.fixture
def run(tmp_path, capsys, one_reference):
    """Runs the command line on these texts; gives the exit status and what was printed."""

    def invoke(kernel, program=PROGRAM, *options):
        (tmp_path / "kernel.cu").write_text(kernel)
        (tmp_path / "program.py").write_text(program)
        status = main(
            ["check", str(tmp_path / "kernel.cu"), "--program", str(tmp_path / "program.py"), *options]
        )
        return status, *capsys.readouterr()

    return invoke


def test_a_correct_kernel_exits_with_0(run, simt):
    status, out, err = run(GUARDED)
    assert (status, err) == (0, "")
    assert out.startswith("correct: ")
    assert out.count("\n") == 1


def test_json_of_a_fenced_response(run, simt):
    status, out, err = run(f"Sure!\n```cuda\n{GUARDED}```\n", PROGRAM, "--json", "--seed", "3")
    assert (status, err) == (0, "")
    verdict = json.loads(out)
    assert verdict["status"] == "correct"
    assert verdict["reason"]
    assert verdict["measurements"]["instances"] >= 2
    assert verdict["seed"] == 3


def test_the_seed_is_another_each_time_and_repeats_a_verdict(run, simt):
    first, second = (json.loads(run(GUARDED, PROGRAM, "--json")[1]) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert json.loads(run(GUARDED, PROGRAM, "--json", "--seed", str(first["seed"]))[1]) == first
    assert run(GUARDED, PROGRAM, "--seed", "5")[1].endswith("(seed 5)\n")


def test_a_draft_in_a_thought_that_the_prompt_opened_is_no_answer(run, simt):
    status, out, _ = run(f"A draft:\n```cuda\n{GUARDED}```\nBut is it", PROGRAM, "--thought-open")
    assert (status, out.split(":")[0]) == (1, "unparsable")


def test_a_kernel_file_with_a_byte_order_mark_and_crlf(run, simt):
    assert run(("\ufeff" + GUARDED).replace("\n", "\r\n"), "\ufeff" + PROGRAM)[0] == 0


EXTENSION = """
#include <torch/extension.h>
__global__ void k(const float* x, float* out, int rows, int cols) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float s = 0.f;
    for (int i = 0; i < cols; ++i) s += fmaxf(x[r * cols + i], 0.f);
    out[r] = s;
}
torch::Tensor f(torch::Tensor x) {
    auto out = torch::empty({x.size(0)}, x.options());
    k<<<(x.size(0) + 127) / 128, 128>>>(x.data_ptr<float>(), out.data_ptr<float>(), x.size(0), x.size(1));
    return out;
}
"""


def test_an_extension_of_torch_is_taken_over_and_judged(run, simt):
    status, out, err = run(EXTENSION)
    assert (status, err) == (0, "")
    assert out.startswith("taken over from an extension of torch: 1 launch and 0 scratch lines\ncorrect: ")
    assert out.count("\n") == 2
    assert "// launch k<<<" in run(EXTENSION, PROGRAM, "--show")[1]
    found = json.loads(run(EXTENSION, PROGRAM, "--json")[1])
    assert found["status"] == "correct"
    assert found["adapted"].startswith("// launch k<<<")


def test_an_extension_of_torch_that_is_wrong_or_not_understood(run, simt):
    assert run(EXTENSION.replace("out[r] = s", "out[r] = s + 1"))[1].split("\n")[1].startswith("wrong: ")
    status, out, _ = run(EXTENSION.replace("return out;", "return torch::relu(out);"))
    assert status == 1
    assert out.startswith(
        "rejected: the extension of torch is not taken over: calls a library: torch::relu (line 13)"
    )


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("", "unparsable"),
        (GUARDED.replace("// launch", "// start"), "unparsable"),
        (GUARDED.replace("(x, out, rows, cols)\n", "(x, y, rows, cols)\n"), "rejected"),
        (GUARDED.replace("(x, out, rows, cols)\n", "(x, out, rows)\n"), "launch_error"),
        (GUARDED.replace("(x, out, rows, cols)\n", "(x, out, 0.5, cols)\n"), "launch_error"),
        (GUARDED.replace("ceil_div(rows, 128)", "rows / 100000"), "launch_error"),
        (GUARDED.replace("ceil_div(rows, 128)", "2000000000 * 2"), "launch_error"),
        (GUARDED.replace("128>>>", "128, 300000>>>"), "launch_error"),
        (GUARDED.replace("0.f;", "0.f"), "compile_error"),
        (GUARDED.replace("if (r >= rows) return;", ""), "fault"),
        (GUARDED.replace("out[r] = s", "out[r] = s + 1"), "wrong"),
    ],
)
def test_any_other_verdict_exits_with_1(run, simt, kernel, expected):
    status, out, err = run(kernel, PROGRAM, "--json")
    assert (status, err) == (1, "")
    verdict = json.loads(out)
    assert verdict["status"] == expected, verdict
    assert verdict["measurements"] is None


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("", ""),
        ("def fused_operator(x:", ""),
        (PROGRAM.replace("torch.relu(x)", "torch.no_such_thing(x)"), "no_such_thing"),
    ],
)
def test_a_program_that_fails_is_an_error(run, simt, program, words):
    status, out, err = run(GUARDED, program)
    assert (status, out) == (2, "")
    _is_one_sentence(err)
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["judge"], "invalid choice"),
        (["check"], "required"),
        (["check", "kernel.cu"], "--program"),
        (["check", "no.cu", "--program", "no.py"], "no.cu cannot be read"),
        (["check", "no.cu", "--program", "no.py", "--backend", "tpu"], "invalid choice: 'tpu'"),
        (["check", "no.cu", "--program", "no.py", "--seed", "x"], "invalid int value"),
    ],
)
def test_a_wrong_command_line_is_an_error(capsys, arguments, words):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    _is_one_sentence(err)
    assert words in err


def test_files_that_are_not_text(tmp_path, capsys):
    (tmp_path / "kernel.cu").write_bytes(b"\xff\xfe\x00")
    assert main(["check", str(tmp_path / "kernel.cu"), "--program", str(tmp_path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err
    (tmp_path / "kernel.cu").write_text(GUARDED)
    assert main(["check", str(tmp_path / "kernel.cu"), "--program", str(tmp_path)]) == 2
    assert "directory" in capsys.readouterr().err


def test_without_a_gpu_the_cuda_backend_says_so(run):
    if not missing():
        pytest.skip("this machine has a GPU")
    status, out, err = run(GUARDED, PROGRAM, "--backend", "cuda")
    assert (status, out) == (2, "")
    _is_one_sentence(err)
    assert "cuda" in err


def test_without_a_gpu_there_is_no_selftest(capsys):
    if not missing():
        pytest.skip("this machine has a GPU")
    assert main(["selftest"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    _is_one_sentence(err)


def test_without_a_compiler_it_says_so(tmp_path):
    """In a process of its own, which has not found a compiler before."""
    (tmp_path / "kernel.cu").write_text(GUARDED)
    (tmp_path / "program.py").write_text(PROGRAM)
    arguments = ["check", tmp_path / "kernel.cu", "--program", tmp_path / "program.py"]
    environment = {name: value for name, value in os.environ.items() if name != "CXX"}
    result = subprocess.run(
        [sys.executable, "-m", "evaluation", *arguments],
        cwd=Path(__file__).parents[2], env={**environment, "PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    _is_one_sentence(result.stderr)
    assert "compiler" in result.stderr


def test_every_backend_can_be_named(capsys):
    for name in BackendName:
        assert main(["check", "no.cu", "--program", "no.py", "--backend", name]) == 2
        assert "no.cu cannot be read" in capsys.readouterr().err


def test_what_takes_long_is_not_imported_before_it_is_needed():
    """The worker that imports torch starts first, and no other process imports it."""
    code = "import sys, evaluation.__main__; print({'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def _is_one_sentence(text):
    assert text.startswith("error: ")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.cu", "--program", "none.py"], "cannot be read"),
        (["--frobnicate"], "see "),
        ([], "see "),
    ],
)
def test_an_error_is_one_object_too(capsys, arguments, words):
    assert main(["check", *arguments, "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "error"
    assert words in found["reason"]


def test_a_bug_of_ours_is_one_object_and_its_traceback(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("evaluation.__main__._check", lambda options: 1 / 0)
    assert main(["check", "kernel.cu", "--program", "program.py", "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["reason"] == "the evaluator failed (ZeroDivisionError)"
    assert "Traceback" in printed.err


def test_a_check_has_a_deadline(capsys, monkeypatch):
    monkeypatch.setattr("evaluation.__main__._check", lambda options: time.sleep(60))
    command = ["check", "kernel.cu", "--program", "program.py", "--json", "--deadline", "0.2"]
    assert main(command) == 2
    assert "did not finish within 0.2 s" in json.loads(capsys.readouterr().out)["reason"]
