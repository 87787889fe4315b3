"""Qwen3, Qwen2.5 and Llama 3 compute what transformers computes, at every parallel size.

Their 97 tokens are padded to 98 at TP 2, so these are also the tests that padding changes nothing.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.family_worker import LAYOUTS
from tests.training.parallel import families_in_two_processes, family_checkpoints
from tests.training.parallel_worker import compute
from tests.training.tiny import FAMILIES, family, load_hf_weights, one_process, random_examples
from training.checkpoint.gather import hf_weights
from training.checkpoint.torch_dist import load_model, save_model
from training.model.build import build_model
from training.objective.batch import collate
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings

pytestmark = pytest.mark.xdist_group("parallel")  # one worker computes the results for all


@cache
def results(name: str, tp: int, pp: int) -> dict[str, Any]:
    if (tp, pp) != (1, 1):
        return torch.load(families_in_two_processes() / f"{name}-{tp}x{pp}.pt")
    source = family_checkpoints() / name
    with one_process():
        return compute(source, 1, 1)


@cache
def expected_logits(name: str) -> torch.Tensor:
    with torch.no_grad():
        return family(name)(collate(random_examples(13)).inputs).logits


@pytest.mark.slow
@pytest.mark.parametrize("layout", [(1, 1), *LAYOUTS])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_transformers_logits(name, layout):
    batch, expected = collate(random_examples(13)), expected_logits(name)
    logits = results(name, *layout)["logits"][:, : expected.size(1), :97]
    assert (logits - expected)[batch.mask].abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("layout", [(1, 1), *LAYOUTS])
@pytest.mark.parametrize("name", FAMILIES)
def test_logprobs_are_transformers(name, layout):
    examples = random_examples(13)
    batch = collate(examples)
    everything = torch.log_softmax(expected_logits(name) / 0.7, -1)
    expected = everything.gather(-1, batch.labels[..., None])[..., 0]
    for row, values in enumerate(results(name, *layout)["logprobs"]):
        torch.testing.assert_close(torch.tensor(values), expected[row][batch.mask[row]], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_training_does_not_depend_on_the_parallel_sizes(name, layout):
    one, other = results(name, 1, 1), results(name, *layout)
    for step, expected in zip(other["steps"], one["steps"], strict=True):
        assert step["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)
    for tensor, value in one["trained"].items():
        # Adam turns rounding of the tiniest gradients into steps; the largest are 3e-3 here.
        torch.testing.assert_close(other["trained"][tensor], value, atol=1e-4, rtol=0, msg=tensor)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [(1, 1), *LAYOUTS])
@pytest.mark.parametrize("name", FAMILIES)
def test_all_ranks_together_give_the_checkpoint_back_bit_for_bit(name, layout):
    loaded = results(name, *layout)["loaded"]
    expected = dict(family(name).named_parameters())
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(value, expected[tensor]) for tensor, value in loaded.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_what_two_processes_convert_loads_in_one(name):
    folder = families_in_two_processes()
    with one_process():
        assert_loads(folder / f"{name}-tp2", name)


@pytest.mark.parametrize("divisible_by", [1, 3, 64])
@pytest.mark.parametrize("name", FAMILIES)
def test_checkpoints_load_across_paddings(single_process, tmp_path, name, divisible_by):
    """From 97 rows to 99 or 128 and back, as between TP 1 and TP 3 or 64."""
    source = tmp_path / "padded"
    family(name).save_pretrained(source / "hf")
    architecture = read_architecture(source / "hf")
    padded = MegatronSettings(nproc_per_node=1, make_vocab_size_divisible_by=divisible_by)
    model = build_model(architecture, padded, torch.float32)
    load_hf_weights(model, source / "hf")
    rows = model.embedding.word_embeddings.weight
    assert len(rows) % divisible_by == 0
    assert not rows[97:].any()
    save_model(model, source)
    assert_loads(source, name)


def assert_loads(torch_dist: Path, name: str) -> None:
    """In one process, without padding, bit for bit."""
    architecture = read_architecture(torch_dist / "hf")
    model = build_model(architecture, MegatronSettings(nproc_per_node=1), torch.float32)
    load_model(model, torch_dist)
    expected = dict(family(name).named_parameters())
    for tensor, value in hf_weights(model, architecture):
        assert torch.equal(value, expected[tensor]), tensor


def test_llamas_scaling_matters_and_is_the_models(single_process, tmp_path):
    """The frequencies that Megatron computes by itself would not pass the test of logits."""
    family("llama").config.save_pretrained(tmp_path)
    model = build_model(read_architecture(tmp_path), MegatronSettings(nproc_per_node=1), torch.float32)
    expected = family("llama").model.rotary_emb.inv_freq
    torch.testing.assert_close(model.rotary_pos_emb.inv_freq, expected, rtol=1e-6, atol=0.0)


def test_sizes_that_do_not_divide_are_refused_before_a_model_is_built(single_process, hf_dir):
    settings = MegatronSettings(nproc_per_node=3, tensor_model_parallel_size=3)
    with pytest.raises(WarpsmithError, match="num_attention_heads 4"):
        build_model(read_architecture(hf_dir), settings, torch.float32)
