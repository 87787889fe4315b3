"""A Hugging Face checkpoint is checked by its headers: names, shapes, types, files."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.errors import WarpsmithError
from tests.training.tiny import qwen3
from training.checkpoint.hf_files import find_tensors
from training.checkpoint.hf_tensors import read_slice
from training.rollout.engine import Sampling
from training.rollout.local.engine import LocalEngine
from training.settings.architecture import read_architecture

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(hf_dir, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(hf_dir, tmp_path / "hf")


@pytest.fixture
def parts(tmp_path):
    """A checkpoint in several files."""
    qwen3().save_pretrained(tmp_path / "parts", max_shard_size=20_000)
    return tmp_path / "parts"


def change(folder, edit) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors")


def refused(folder, message) -> None:
    with pytest.raises(WarpsmithError, match=message) as error:
        find_tensors(folder, read_architecture(folder))
    assert "\n" not in str(error.value)


def test_every_tensor_has_its_file(folder, parts):
    names = set(qwen3().state_dict()) - {"lm_head.weight"}
    for checkpoint in (folder, parts):
        found = find_tensors(checkpoint, read_architecture(checkpoint))
        assert set(found) == names
        assert all(name in load_file(path) for name, path in found.items())
    assert len(set(found.values())) > 1


def test_missing_and_unknown_tensors_are_named(folder):
    change(folder, lambda weights: weights.update({"vision.weight": torch.ones(1)}))
    refused(folder, r"has the tensor vision\.weight \(1 in all\)")
    change(folder, lambda weights: weights.pop(NAME))
    refused(folder, rf"lacks the tensor {NAME} \(1 in all\)")


def test_a_tied_model_may_hold_its_embedding_twice_but_no_other_output_layer(folder):
    change(folder, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()}))
    assert "lm_head.weight" not in find_tensors(folder, read_architecture(folder))
    for head in (torch.ones(1), load_file(folder / "model.safetensors")["lm_head.weight"] + 1):
        change(folder, lambda weights, head=head: weights.update({"lm_head.weight": head}))
        refused(folder, r"says tie_word_embeddings, but .* holds a lm_head\.weight that is not the embedding")


def test_weights_of_another_floating_type_are_read_in_the_configs(folder):
    change(folder, lambda weights: weights.update({NAME: torch.full((48, 32), 1.5).bfloat16()}))
    found = find_tensors(folder, read_architecture(folder))
    assert read_slice(found[NAME], NAME).dtype is torch.bfloat16
    engine = LocalEngine.from_pretrained(folder)
    (completion,) = engine.generate([[3, 4]], [Sampling(max_new_tokens=1, seed=0)])
    assert len(completion.token_ids) == 1


def test_buffers_that_transformers_computes_are_ignored(folder):
    change(folder, lambda w: w.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    assert not any("inv_freq" in name for name in find_tensors(folder, read_architecture(folder)))


def test_wrong_shapes_and_types_are_named(folder):
    change(folder, lambda weights: weights.update({NAME: torch.ones(3, 3)}))
    refused(folder, rf"holds {NAME} as F32 \[3, 3\] where .*config\.json asks for F32 \[48, 32\]")
    change(folder, lambda weights: weights.update({NAME: torch.ones(48, 32).int()}))
    refused(folder, rf"holds {NAME} as I32 \[48, 32\] where .* F32")


def test_files_that_are_cut_off_or_no_safetensors_are_named(folder):
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for damaged in (content[:-1], content[:100], b"", b"damaged", content + b"x"):
        file.write_bytes(damaged)
        refused(folder, r"model\.safetensors cannot be read")
    file.unlink()
    refused(folder, r"holds no \*\.safetensors file")


def test_a_tensor_in_two_files_is_refused(folder, parts):
    (parts / "model.safetensors.index.json").unlink()
    first = sorted(parts.glob("*.safetensors"))[0]
    shutil.copy(first, parts / "model-of-yesterday.safetensors")
    refused(
        parts, rf"{first.name} and model-of-yesterday\.safetensors both hold the tensor .*; remove the file"
    )


def test_an_index_that_does_not_fit_is_named(parts):
    index = parts / "model.safetensors.index.json"
    first = sorted(parts.glob("*.safetensors"))[0]
    first.unlink()
    refused(parts, rf"index\.json names {first.name}, which is not there")
    for name in ("../elsewhere.safetensors", "/elsewhere.safetensors", ""):
        index.write_text(json.dumps({"weight_map": {"weight": name}}))
        refused(parts, r"index\.json names .*, which is in another folder")
    for content in ("damaged", "{}", "[]", json.dumps({"weight_map": []})):
        index.write_text(content)
        refused(parts, r"index\.json cannot be read")
