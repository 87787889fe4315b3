"""Conversion is bit-exact, and either finishes or leaves nothing."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.errors import WarpsmithError
from tests.training.tiny import qwen3
from training.architecture import read_architecture
from training.checkpoint import main, to_megatron
from training.config import MegatronSettings
from training.conversion import open_hf_weights, write_hf_weights
from training.model import build_model
from training.torch_dist import load_model, save_model
from training.weights import hf_weights, load_hf_weights

SINGLE = MegatronSettings(nproc_per_node=1)


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


def test_bfloat16_stays_bfloat16(single_process, tmp_path):
    qwen3().bfloat16().save_pretrained(tmp_path / "hf")
    architecture = read_architecture(tmp_path / "hf")
    assert architecture.dtype == "bfloat16"
    one, other = (build_model(architecture, SINGLE, torch.bfloat16) for _ in range(2))
    with ExitStack() as files:
        load_hf_weights(one, architecture, open_hf_weights(tmp_path / "hf", architecture, files))
    for folder in ("torch_dist", "back"):
        (tmp_path / folder).mkdir()
    save_model(one, tmp_path / "torch_dist")
    load_model(other, tmp_path / "torch_dist")
    write_hf_weights(dict(hf_weights(other, architecture)), tmp_path / "back")
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


def test_missing_and_unknown_tensors_are_named(hf_dir, tmp_path):
    architecture = read_architecture(hf_dir)
    name, changed = "model.layers.1.mlp.up_proj.weight", tensors(hf_dir)
    weight = changed.pop(name)
    save_file(changed, tmp_path / "model.safetensors")
    with pytest.raises(WarpsmithError, match=rf"lacks the tensor {name}"), ExitStack() as files:
        open_hf_weights(tmp_path, architecture, files)
    save_file({**changed, name: weight, "vision.weight": weight.clone()}, tmp_path / "model.safetensors")
    with pytest.raises(WarpsmithError, match=r"unknown tensor, vision\.weight"), ExitStack() as files:
        open_hf_weights(tmp_path, architecture, files)


def test_weights_of_another_shape_are_named(single_process, hf_dir):
    architecture = read_architecture(hf_dir)
    model = build_model(architecture, SINGLE, torch.float32)
    with pytest.raises(WarpsmithError, match=r"embed.* have shape \(3, 3\)"):
        load_hf_weights(model, architecture, lambda name: torch.zeros(3, 3))


def test_a_damaged_file_is_named(hf_dir, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WarpsmithError, match=r"model\.safetensors cannot be read"), ExitStack() as files:
        open_hf_weights(tmp_path, read_architecture(hf_dir), files)


def test_an_incomplete_torch_dist_is_named(single_process, hf_dir, tmp_path):
    model = build_model(read_architecture(hf_dir), SINGLE, torch.float32)
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
