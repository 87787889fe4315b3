"""Conversion is bit-exact, needs only its share of the memory, and either finishes or leaves nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from evaluation.errors import WarpsmithError
from tests.training.tiny import FAMILIES, family, qwen3
from training.checkpoint.commands import main, to_hf, to_megatron
from training.checkpoint.conversion import write_hf_weights, write_torch_dist
from training.checkpoint.torch_dist import HF_FOLDER, load_model, save_model
from training.launch.local import ProcessError
from training.model.build import build_model
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings

SINGLE = MegatronSettings(nproc_per_node=1)
#: A tokenizer.json of one token.
TOKENIZER = '{"model": {"vocab": {"a": 0}, "merges": []}}'


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def assert_same(folder: Path, original: Path) -> None:
    converted, expected = tensors(folder), tensors(original)
    assert converted.keys() == expected.keys()
    for name, value in expected.items():
        assert converted[name].dtype == value.dtype
        assert torch.equal(converted[name], value), name


def torch_dist(hf_dir: Path, folder: Path) -> Path:
    """The checkpoint of `hf_dir` in torch_dist, in the folder `folder`."""
    shutil.copytree(hf_dir, folder / HF_FOLDER, ignore=shutil.ignore_patterns("*.safetensors"))
    write_torch_dist(hf_dir, folder)
    return folder


@pytest.mark.slow
def test_the_command_line_converts_at_any_size_and_back(tmp_path):
    source = tmp_path / "hf"
    family("llama").save_pretrained(source)  # its 97 tokens are padded to 98 at TP 2
    (source / "tokenizer.json").write_text(TOKENIZER)
    there, back = tmp_path / "torch_dist", tmp_path / "back"
    sizes = ["--tensor-model-parallel-size", "2"]  # the pipeline has no part in what is written
    command = [sys.executable, "-m", "training.checkpoint", "to-megatron", str(source), str(there)]
    subprocess.run([*command, *sizes], check=True)
    assert main(["to-hf", str(there), str(back), "--max-shard-size", "20KB"]) == 0
    assert_same(back, source)
    assert len(list(back.glob("*.safetensors"))) > 1
    assert (back / "tokenizer.json").read_text() == TOKENIZER
    assert (back / "config.json").read_bytes() == (source / "config.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "hf", "torch_dist"]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shard_bytes", [10**6, 5000])
def test_the_way_there_and_back_is_bit_exact(single_process, tmp_path, name, shard_bytes):
    family(name).bfloat16().save_pretrained(tmp_path / "hf", max_shard_size=shard_bytes)
    (tmp_path / "back").mkdir()
    write_hf_weights(torch_dist(tmp_path / "hf", tmp_path / "torch_dist"), tmp_path / "back", shard_bytes)
    assert_same(tmp_path / "back", tmp_path / "hf")
    assert next(iter(tensors(tmp_path / "back").values())).dtype is torch.bfloat16


def test_transformers_reads_what_is_written_in_parts(single_process, tmp_path, hf_dir):
    back = tmp_path / "back"
    back.mkdir()
    write_hf_weights(torch_dist(hf_dir, tmp_path / "torch_dist"), back, 5000)
    shutil.copy(hf_dir / "config.json", back)
    model = AutoModelForCausalLM.from_pretrained(back, dtype=torch.float32)
    assert all(torch.equal(value, qwen3().state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", FAMILIES)
def test_files_become_what_a_model_saves(single_process, tmp_path, name):
    """The keys, shapes and values of a checkpoint do not depend on whether a model wrote it."""
    family(name).save_pretrained(tmp_path / "hf")
    architecture = read_architecture(tmp_path / "hf")
    model = build_model(architecture, SINGLE, torch.float32)
    load_model(model, torch_dist(tmp_path / "hf", tmp_path / "torch_dist"))
    saved, back = tmp_path / "saved", tmp_path / "back"
    shutil.copytree(tmp_path / "hf", saved / HF_FOLDER)
    save_model(model, saved)
    back.mkdir()
    write_hf_weights(saved, back)
    assert_same(back, tmp_path / "hf")


CONVERT_AND_TELL_THE_PEAK = """
import sys
from pathlib import Path
import torch.distributed as dist
from training.checkpoint import conversion

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

name, source, target = sys.argv[1:]
dist.init_process_group("gloo", init_method=f"file://{target}.store", rank=0, world_size=1)
before = peak()
getattr(conversion, name)(Path(source), Path(target))
print(peak() - before)
"""


def peak_memory(function: str, source: Path, target: Path) -> int:
    """Bytes by which a function of `conversion` raises the resident set of a fresh process."""
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CONVERT_AND_TELL_THE_PEAK, function, str(source), str(target)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


@pytest.mark.slow
def test_memory_stays_below_1_3_times_the_weights(tmp_path):
    """There, a process holds its share and one slice; back, one layer or the embedding."""
    shape = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 4, "vocab_size": 20_000}
    family("llama", **shape, head_dim=64).bfloat16().save_pretrained(tmp_path / "hf")
    size = sum(value.nbytes for value in tensors(tmp_path / "hf").values())
    there = tmp_path / "torch_dist"
    shutil.copytree(tmp_path / "hf", there / HF_FOLDER, ignore=shutil.ignore_patterns("*.safetensors"))
    assert peak_memory("write_torch_dist", tmp_path / "hf", there) < 1.3 * size
    assert peak_memory("write_hf_weights", there, tmp_path / "back") < 1.0 * size
    assert_same(tmp_path / "back", tmp_path / "hf")


@pytest.mark.parametrize("command", ["to-megatron", "to-hf"])
def test_an_unsupported_architecture_leaves_nothing(tmp_path, capsys, command):
    source = tmp_path / "model"
    folder = source if command == "to-megatron" else source / "hf"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert main([command, str(source), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "model_type 'gpt2'" in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_sizes_that_do_not_divide_the_model_leave_nothing(hf_dir, tmp_path, capsys):
    command = ["to-megatron", str(hf_dir), str(tmp_path / "out"), "--tensor-model-parallel-size", "3"]
    assert main(command) == 2
    assert "tensor_model_parallel_size 3" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["0", "-1GB", "5 apples", ""])
def test_a_shard_size_that_is_none_is_refused(tmp_path, capsys, size):
    with pytest.raises(SystemExit):
        main(["to-hf", str(tmp_path), str(tmp_path / "out"), f"--max-shard-size={size}"])
    assert "is no size" in capsys.readouterr().err


def test_an_output_that_exists_is_left_alone(hf_dir, tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(WarpsmithError, match="exists already"):
        to_megatron(hf_dir, tmp_path)
    with pytest.raises(WarpsmithError, match=r"config\.json is missing"):
        to_hf(hf_dir, tmp_path / "out")
    assert (tmp_path / "mine").read_text() == "kept"


def test_an_incomplete_torch_dist_is_named(single_process, hf_dir, tmp_path):
    model = build_model(read_architecture(hf_dir), SINGLE, torch.float32)
    with pytest.raises(WarpsmithError, match="not a complete Megatron checkpoint"):
        load_model(model, tmp_path)
    folder = torch_dist(hf_dir, tmp_path / "torch_dist")
    for file in folder.glob("*.distcp"):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WarpsmithError, match="not a complete Megatron checkpoint"):
        load_model(model, folder)


CONFIG_OF_ANOTHER_MODEL = [
    ({"tie_word_embeddings": False}, r"lacks the tensor output_layer\.weight"),
    ({"hidden_size": 64}, r"embedding\.word_embeddings\.weight in the shape \[96, 32\] .* \[96, 64\]"),
    ({"vocab_size": 97}, r"in the shape \[96, 32\] where the model has \[97, 32\]"),
    (
        {"num_hidden_layers": 4, "layer_types": ["full_attention"] * 4},
        r"in the shape \[3, .* the model has \[4, ",
    ),
]


@pytest.mark.parametrize(("change", "message"), CONFIG_OF_ANOTHER_MODEL)
def test_a_torch_dist_with_another_models_config_is_named(single_process, hf_dir, tmp_path, change, message):
    folder = torch_dist(hf_dir, tmp_path / "torch_dist")
    config = folder / HF_FOLDER / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(WarpsmithError, match=message):
        write_hf_weights(folder, tmp_path)
    if "vocab_size" not in change:  # a live model's vocabulary may be padded
        model = build_model(read_architecture(folder / HF_FOLDER), SINGLE, torch.float32)
        with pytest.raises(WarpsmithError, match=message):
            load_model(model, folder)


def test_long_conversions_tell_how_far_they_are(single_process, hf_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("training.checkpoint.conversion._SECONDS_BETWEEN_REPORTS", -1)
    torch_dist(hf_dir, tmp_path / "torch_dist")
    assert "read 4 of 5 blocks" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_refused_before_processes_start(hf_dir, tmp_path, capsys):
    source = tmp_path / "hf"
    shutil.copytree(hf_dir, source)
    weights = tensors(source)
    del weights["model.norm.weight"]
    save_file(weights, source / "model.safetensors")
    assert main(["to-megatron", str(source), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "lacks the tensor model.norm.weight" in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.parametrize(
    ("file", "content"),
    [("metadata.json", b"{"), ("common.pt", b"damaged"), (".metadata", b"damaged"), ("common.pt", None)],
)
def test_a_damaged_torch_dist_is_one_sentence(single_process, hf_dir, tmp_path, file, content):
    folder = torch_dist(hf_dir, tmp_path / "torch_dist")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    model = build_model(read_architecture(hf_dir), SINGLE, torch.float32)
    for read in (lambda: load_model(model, folder), lambda: write_hf_weights(folder, tmp_path)):
        with pytest.raises(WarpsmithError, match="not a complete Megatron checkpoint") as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_command_says_what_is_damaged_and_leaves_nothing(hf_dir, tmp_path, capsys):
    source = tmp_path / "torch_dist"
    shutil.copytree(hf_dir, source / HF_FOLDER)
    (source / "metadata.json").write_text("{")
    assert main(["to-hf", str(source), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {source} is not a complete") and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["torch_dist"]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ProcessError("conversion failed"), 1, "error: conversion failed\n"),
        (KeyboardInterrupt(), 130, "stopped; nothing was written to "),
    ],
)
def test_failures_and_interrupts_are_no_tracebacks(
    hf_dir, tmp_path, capsys, monkeypatch, error, status, said
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("training.checkpoint.commands.run_processes", fail)
    source = tmp_path / "torch_dist"
    shutil.copytree(hf_dir, source / HF_FOLDER)
    assert main(["to-hf", str(source), str(tmp_path / "out")]) == status
    assert capsys.readouterr().err.startswith(said)
    assert not (tmp_path / "out").exists()
