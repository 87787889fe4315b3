"""The command line of the flows: mistakes are answered before anything starts or is written."""

from __future__ import annotations

import http.server
import subprocess
import threading
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from flows import run, serve
from flows.server import answers


@pytest.fixture
def no_server(monkeypatch):
    def refuse():
        raise AssertionError("a server was started for bad parameters")

    monkeypatch.setattr(run, "prefect_api", refuse)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "cpuu"], "error: there is no profile `cpuu`; the nearest valid name is `cpu`\n"),
        (
            ["--night", "2026-13-01"],
            "error: night '2026-13-01' looks like a date and is none; write 2026-12-01\n",
        ),
        (["--night", "a b"], "error: night 'a b' is not a name"),
        (
            ["--grpo-stepz", "5"],
            "error: there is no flag `--grpo-stepz`; the nearest valid one is `--grpo-steps`",
        ),
        (["--grpo-lr", "fast"], "error: `--grpo-lr` cannot be 'fast': "),
        (
            ["--tensor-model-parallel-size", "3"],
            "error: infra/profiles/cpu.yaml with --tensor-model-parallel",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(checkout, no_server, capsys, arguments, message):
    before = sorted(Path().rglob("*"))
    assert run.main(["nightly", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_more_processes_than_gpus_are_refused(checkout, no_server, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert run.main(["nightly"]) == 2
    assert capsys.readouterr().err == (
        "error: `megatron.nproc_per_node` is 2, but this machine has 1 GPU(s) to use; add "
        "`--nproc-per-node 1`, or set CUDA_VISIBLE_DEVICES= to train on the CPU\n"
    )


def test_a_profile_for_a_gpu_is_refused_where_there_is_none(checkout, no_server, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = sorted(Path().rglob("*"))
    assert run.main(["nightly", "--evaluation-backend", "cuda"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: `evaluation.backend: cuda`: this needs an NVIDIA GPU, and this machine")
    assert error.count("\n") == 1 and sorted(Path().rglob("*")) == before


def test_help_lists_every_setting_of_a_profile(capsys):
    with pytest.raises(SystemExit, match="0"):
        run.main(["--help"])
    text = capsys.readouterr().out
    for flag in ("--night", "--lr", "--sglang-tp-size", "--data-heldout-level2", "--launcher-kind"):
        assert f"  {flag} " in text


def test_serve_names_a_port_that_is_in_use(checkout, monkeypatch, capsys):
    monkeypatch.setattr(serve, "is_free", lambda port: port != 5123)
    monkeypatch.setenv("MLFLOW_PORT", "5123")
    assert serve.main() == 2
    assert (
        capsys.readouterr().err
        == "error: port 5123 is in use; stop what uses it or set MLFLOW_PORT to another\n"
    )


def test_serve_has_help_and_starts_nothing_for_it(checkout, monkeypatch, capsys):
    monkeypatch.setattr(serve, "serve", lambda *ports: pytest.fail("started"))
    with pytest.raises(SystemExit, match="0"):
        serve.main(["--help"])
    assert "MLFLOW_PORT" in capsys.readouterr().out


def test_serve_refuses_what_is_no_port(checkout, monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_PORT", "web")
    assert serve.main() == 2
    assert "PREFECT_PORT is 'web'; it must be a port" in capsys.readouterr().err


def test_a_part_of_serve_that_ends_is_started_again_and_the_others_are_left_alone(capsys):
    """Short-lived processes in place of the parts; one that ends each time is given up in one sentence."""

    def lasting():
        return subprocess.Popen(["sleep", "600"], process_group=0)

    def short():
        return subprocess.Popen(["true"], process_group=0)

    parts = {"worker": lasting(), "MLflow UI": short()}
    worker = parts["worker"]
    with pytest.raises(WarpsmithError, match="the MLflow UI ended with status 0 for the 5th time"):
        serve._keep_up(parts, {"worker": lasting, "MLflow UI": short})
    said = capsys.readouterr().out
    assert said.count("the MLflow UI ended with status 0; it is started again") == serve._STARTS
    assert parts["worker"] is worker and worker.poll() is None
    worker.kill()
    worker.wait()


@pytest.mark.slow
def test_a_night_goes_on_with_a_server_of_its_own_when_that_of_serve_goes_away(checkout, monkeypatch, capsys):
    from flows import nightly as module

    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

    given = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=given.serve_forever).start()
    asked = []

    def flow(**parameters):
        from prefect.settings import PREFECT_API_URL

        asked.append(PREFECT_API_URL.value())
        if len(asked) == 1:
            given.shutdown()
            given.server_close()
            raise ConnectionError("All connection attempts failed")
        assert answers(f"{asked[1]}/health")

    monkeypatch.setattr(module, "nightly", flow)
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{given.server_port}/api")
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    run.run_nightly("cpu", "2026-12-01")
    assert asked[0] != asked[1]
    assert "the night goes on with one of its own" in capsys.readouterr().out
