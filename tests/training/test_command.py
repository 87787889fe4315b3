"""`python -m training sft|grpo`: settings resolved once, checked before anything starts, then a real run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tests.training.night import base_checkpoint, conversations, write_rows
from training.command import READS, SECTIONS, main, resolve
from training.launch.lock import exclusive
from training.settings.jobs import SftJob

ROOT = Path(__file__).parents[2]


@pytest.fixture
def profile(tmp_path):
    """Write a profile whose sections are empty but for those given, and give its path."""

    def write(**sections) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({name: {} for name in SECTIONS} | {"night": "n"} | sections))
        return str(path)

    return write


def test_flags_win_over_the_profile_and_that_over_the_defaults(profile):
    path = profile(grpo={"steps": 7, "lr": 1e-3, "seed": 3})
    settings = resolve(path, ["--lr", "1e-6", "--bf16"], READS["grpo"])
    assert (settings.grpo.steps, settings.grpo.lr, settings.grpo.seed) == (7, 1e-6, 3)
    assert settings.megatron.bf16 and settings.training.megatron.bf16
    assert resolve(None, [], READS["grpo"]).grpo.steps == 200


def test_a_name_is_a_profile_of_ours(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert resolve("cpu", [], READS["grpo"]).grpo.steps == 60


def test_a_section_that_is_missing_or_misspelt_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        yaml.safe_dump({name: {} for name in SECTIONS if name != "grpo"} | {"gpro": {"steps": 3}})
    )
    with pytest.raises(WarpsmithError, match=r"mine\.yaml: `grpo` is missing; add `grpo: \{\}`"):
        resolve(str(path), [], READS["grpo"])


def test_a_wrong_value_in_the_profile_is_named(profile):
    with pytest.raises(WarpsmithError, match=r"mine\.yaml: `sft\.lr` cannot be 'fast'"):
        resolve(profile(sft={"lr": "fast"}), [], READS["sft"])


def files(tmp_path) -> list[str]:
    rows = write_rows(tmp_path / "sft.jsonl", conversations())
    return ["--rows", str(rows), "--out-dir", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sft-stepz", "1"], "there is no flag `--sft-stepz`; the nearest valid one is `--sft-steps`"),
        (["--grpo-steps", "1"], "`--grpo-steps` sets `grpo.steps`, which this command does not read"),
        (["--tensor-model-parallel-size", "3"], "nproc_per_node 1 is not a multiple"),
        ([], "is not a torch_dist checkpoint; `python -m training.checkpoint to-megatron"),
        (["--profile", "nosuch"], "nosuch.yaml cannot be read"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_starts(tmp_path, capsys, flags, message):
    assert main(["sft", "--checkpoint", str(tmp_path / "none"), *files(tmp_path), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_sft_from_the_command_line(tmp_path, capsys):
    checkpoint = base_checkpoint(tmp_path / "night")
    command = ["sft", "--checkpoint", str(checkpoint), *files(tmp_path), "--nproc-per-node", "1"]
    assert main([*command, "--num-layers", "99"]) == 2
    assert "megatron.num_layers is 99 but" in capsys.readouterr().err
    missing = [word if word != command[4] else f"{word}.gone" for word in command]
    assert main(missing) == 2
    assert "--rows names" in capsys.readouterr().err
    assert main([*command, "--lr", "5e-3", "--sft-steps", "2", "--global-batch-size", "8"]) == 0
    out = tmp_path / "out"
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    job = SftJob.model_validate_json((out / "job.json").read_text())
    assert (job.settings.sft.lr, job.settings.sft.batch_size) == (5e-3, 8)
    assert json.loads((out / "job.json").read_text())["settings"]["megatron"]["nproc_per_node"] == 1
    assert (out / "torch_dist" / "hf" / "config.json").is_file()


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A folder with the checkpoint `torch_dist` and what both commands read."""
    folder = tmp_path_factory.mktemp("night")
    base_checkpoint(folder)
    write_rows(folder / "sft.jsonl", conversations())
    write_rows(folder / "prompts.jsonl", [])
    write_rows(folder / "problems.jsonl", [])
    return folder


def sft(base: Path, out: Path, *flags: str, checkpoint: Path | None = None) -> list[str]:
    inputs = ["--checkpoint", str(checkpoint or base / "torch_dist"), "--rows", str(base / "sft.jsonl")]
    return ["sft", *inputs, "--out-dir", str(out), *flags]


def grpo(base: Path, out: Path, *flags: str) -> list[str]:
    inputs = {name: str(base / f"{name}.jsonl") for name in ("prompts", "problems")}
    inputs |= {"checkpoint": str(base / "torch_dist"), "out-dir": str(out)}
    return ["grpo", *(word for name, value in inputs.items() for word in (f"--{name}", value)), *flags]


@pytest.fixture
def refused(monkeypatch, capsys):
    """Assert that a command ends with one sentence and starts nothing."""

    def check(command: list[str], message: str) -> None:
        monkeypatch.setattr("training.launch.local.run_processes", lambda *_, **__: pytest.fail("it started"))
        assert main(command) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and message in error and error.count("\n") == 1, error

    return check


def test_a_run_does_not_replace_its_own_checkpoint(base, tmp_path, refused):
    message = f"--checkpoint {base / 'torch_dist'} is what a run with --out-dir {base} replaces"
    refused(sft(base, base), message)
    (tmp_path / "link").symlink_to(base)
    refused(sft(base, tmp_path / "link"), "is what a run with --out-dir")
    inner = base / "checkpoints" / "step_000001"
    refused(sft(base, base, checkpoint=inner), f"--checkpoint {inner} is what a run")
    refused(sft(base, base / "torch_dist" / "out"), "lies in --checkpoint")
    assert (base / "torch_dist" / "metadata.json").is_file()


def test_a_folder_that_is_a_file_or_in_use_is_named(base, tmp_path, refused):
    refused(
        sft(base, base / "sft.jsonl"), "sft.jsonl cannot be written (File exists); choose another --out-dir"
    )
    with exclusive(tmp_path / ".lock", "busy"):
        refused(
            sft(base, tmp_path),
            f"another run uses {tmp_path} (process {os.getpid()}); wait for it or stop it",
        )


@pytest.mark.parametrize("command", [sft, grpo])
@pytest.mark.parametrize("profile", ["h200", "qwen3-4b-1n4g", "qwen3-4b-2n16g"])
def test_profiles_for_gpus_are_refused_where_there_is_none(
    base, tmp_path, refused, monkeypatch, command, profile
):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    refused(command(base, tmp_path / "out", "--profile", profile), "this needs an NVIDIA GPU")


def test_a_recipe_for_more_gpus_than_there_are_is_refused(base, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    command = grpo(base, tmp_path / "out", "--profile", "qwen3-4b-2n16g")
    refused(command, "the SGLang engines need 16 GPUs, but this machine has 8")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--eval-interval", "5"], "grpo.eval_interval is 5, but there are no prompts to evaluate on"),
        (["--rollout-max-new-tokens", "128"], "leaves no room for a prompt in a context of 128 tokens"),
        (["--rollout-reward-function", "nosuch:reward"], "'nosuch:reward': the module cannot be imported"),
        (
            ["--rollout-engine", "sglang", "--rollout-engine-urls", "http://127.0.0.1:9"],
            "no SGLang server answers",
        ),
    ],
)
def test_what_grpo_would_stop_for_is_found_before_it_starts(base, tmp_path, refused, flags, message):
    short = [] if "128" in flags else ["--rollout-max-new-tokens", "24"]
    refused(grpo(base, tmp_path / "out", *short, *flags), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ([], "no checkpoint was saved yet, so the same command begins anew"),
        (
            ["step_000040", "step_000120", "step_000130.unreadable", "best.json"],
            "goes on from step 120, the last",
        ),
    ],
)
def test_an_interrupt_says_where_the_same_command_goes_on(base, tmp_path, capsys, monkeypatch, saved, said):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.launch.local.run_processes", interrupted)
    for name in saved:
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert main(sft(base, tmp_path)) == 130
    assert said in capsys.readouterr().err
