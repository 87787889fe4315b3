"""`python -m training sft|grpo`: settings resolved once, checked before anything starts, then a real run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tests.training.night import base_checkpoint, conversations, write_rows
from training.command import READS, SECTIONS, main, resolve
from training.config import SftJob

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
    assert resolve(None, [], READS["grpo"]).grpo.steps == 30


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
        (["--tensor-model-parallel-size", "3"], "nproc_per_node 2 is not a multiple"),
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
