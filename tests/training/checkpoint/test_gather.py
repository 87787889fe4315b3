"""The weight map only moves numbers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.parallel import LAYOUTS, results
from tests.training.tiny import FAMILIES, family, qwen3
from training.checkpoint.tensor_map import blocks
from training.model.build import build_model
from training.model.fusion import _join_qkv, _separate_qkv
from training.settings.architecture import Architecture, read_architecture
from training.settings.jobs import MegatronSettings

pytestmark = pytest.mark.xdist_group("parallel")  # one worker computes the results for all


def architecture(groups: int, per_group: int, width: int) -> Architecture:
    return Architecture(
        num_layers=1,
        hidden_size=6,
        ffn_hidden_size=8,
        num_heads=groups * per_group,
        num_kv_heads=groups,
        head_dim=width,
        vocab_size=10,
        max_positions=16,
        rope_theta=1e4,
        norm_eps=1e-6,
        tied=True,
        dtype="float32",
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.sampled_from([(), (6,)]))
def test_fused_qkv_splits_into_the_same_tensors(groups, per_group, width, columns):
    shape = architecture(groups, per_group, width)
    q = torch.randn(groups * per_group * width, *columns)
    k, v = torch.randn(2, groups * width, *columns)
    back = _separate_qkv(shape, _join_qkv(shape, q, k, v))
    assert all(torch.equal(one, other) for one, other in zip(back, (q, k, v), strict=True))


def test_a_groups_queries_lie_beside_its_key_and_value():
    shape = architecture(2, 2, 1)
    q, k, v = (torch.arange(n)[:, None].float() + 10 * start for n, start in ((4, 0), (2, 1), (2, 2)))
    assert _join_qkv(shape, q, k, v)[:, 0].tolist() == [0, 1, 10, 20, 2, 3, 11, 21]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_names_and_shapes_are_those_of_transformers(tmp_path, name, tied):
    model = family(name, tie_word_embeddings=tied)
    model.config.save_pretrained(tmp_path)
    shapes = read_architecture(tmp_path).weight_shapes()
    assert shapes == {name: tuple(value.shape) for name, value in model.named_parameters()}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layout_names_every_tensor_of_both_sides(single_process, tmp_path, name):
    family(name).config.save_pretrained(tmp_path)
    shape = read_architecture(tmp_path)
    every = [(block, weight) for block in blocks(shape) for weight in block.weights]
    hf = {block.hf_name(part) for block, weight in every for part in weight.parts}
    assert hf == set(shape.weight_shapes())
    model = build_model(shape, MegatronSettings(nproc_per_node=1), torch.float32)
    prefixes = [("" if block.layer is None else f"decoder.layers.{block.layer}.") for block, _ in every]
    names = {prefix + weight.parameter for prefix, (_, weight) in zip(prefixes, every, strict=True)}
    assert names == {name for name, _ in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_ranks_together_give_the_checkpoint_back_bit_for_bit(layout):
    loaded, expected = results(*layout)["loaded"], qwen3().state_dict()
    assert set(loaded) == set(expected) - {"lm_head.weight"}
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())
