"""Conversion is bit-exact, and either finishes or leaves nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.errors import WarpsmithError
from tests.training.tiny import one_process, qwen3
from training.architecture import read_architecture
from training.checkpoint import main, to_hf, to_megatron
from training.config import MegatronSettings
from training.conversion import write_hf_weights
from training.model import build_model
from training.torch_dist import load_model


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def assert_same(folder: Path, original: Path) -> None:
    converted, expected = tensors(folder), tensors(original)
    assert converted.keys() == expected.keys()
    for name, value in expected.items():
        assert converted[name].dtype == value.dtype
        assert torch.equal(converted[name], value), name


@pytest.mark.slow
def test_the_command_line_converts_at_any_size_and_back(tmp_path):
    source = tmp_path / "hf"
    qwen3(tie_word_embeddings=False).save_pretrained(source)
    (source / "tokenizer.json").write_text("{}")
    there, back = tmp_path / "torch_dist", tmp_path / "back"
    sizes = ["--tensor-model-parallel-size", "2", "--pipeline-model-parallel-size", "2"]
    command = [sys.executable, "-m", "training.checkpoint"]
    subprocess.run([*command, "to-megatron", str(source), str(there), *sizes], check=True)
    subprocess.run([*command, "to-hf", str(there), str(back)], check=True)
    assert_same(back, source)
    assert (back / "tokenizer.json").read_text() == "{}"
    assert (back / "config.json").read_bytes() == (source / "config.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "hf", "torch_dist"]


@pytest.mark.slow
def test_bfloat16_stays_bfloat16(tmp_path):
    qwen3().bfloat16().save_pretrained(tmp_path / "hf")
    to_megatron(tmp_path / "hf", tmp_path / "torch_dist")
    to_hf(tmp_path / "torch_dist", tmp_path / "back")
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


def test_an_output_that_exists_is_left_alone(hf_dir, tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(WarpsmithError, match="exists already"):
        to_megatron(hf_dir, tmp_path)
    assert (tmp_path / "mine").read_text() == "kept"


@pytest.mark.slow
def test_a_worker_says_which_tensor_is_missing(hf_dir, tmp_path):
    source = tmp_path / "hf"
    source.mkdir()
    (source / "config.json").write_bytes((hf_dir / "config.json").read_bytes())
    incomplete = tensors(hf_dir)
    del incomplete["model.layers.1.mlp.up_proj.weight"]
    save_file(incomplete, source / "model.safetensors")
    with pytest.raises(WarpsmithError, match=r"lacks the tensor model\.layers\.1\.mlp\.up_proj\.weight"):
        to_megatron(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_incomplete_torch_dist_is_named(hf_dir, tmp_path):
    with one_process():
        model = build_model(read_architecture(hf_dir), MegatronSettings(nproc_per_node=1), torch.float32)
        with pytest.raises(WarpsmithError, match="not a complete Megatron checkpoint"):
            load_model(model, tmp_path)


def test_large_checkpoints_are_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("training.conversion._MAX_SHARD_BYTES", 400)
    weights = {f"w{i}": torch.full((10, 10), float(i)) for i in range(3)}
    write_hf_weights(weights, tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    assert index.keys() == weights.keys()
    assert len(set(index.values())) == 3
    assert all(torch.equal(value, weights[name]) for name, value in tensors(tmp_path).items())
