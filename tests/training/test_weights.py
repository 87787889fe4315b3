"""The weight map only moves numbers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.parallel import LAYOUTS, results
from tests.training.tiny import qwen3
from training.architecture import Architecture
from training.weights import _fuse_qkv, _split_qkv, hf_names


def architecture(layers: int, groups: int, per_group: int, width: int, tied: bool) -> Architecture:
    return Architecture(
        num_layers=layers,
        hidden_size=6,
        ffn_hidden_size=8,
        num_heads=groups * per_group,
        num_kv_heads=groups,
        head_dim=width,
        vocab_size=10,
        max_positions=16,
        rope_theta=1e4,
        norm_eps=1e-6,
        tied=tied,
        dtype="float32",
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_fused_qkv_splits_into_the_same_tensors(groups, per_group, width):
    shape = architecture(1, groups, per_group, width, True)
    q = torch.randn(groups * per_group * width, 6)
    k, v = torch.randn(2, groups * width, 6)
    back = _split_qkv(shape, _fuse_qkv(shape, q, k, v))
    assert all(torch.equal(one, other) for one, other in zip(back, (q, k, v), strict=True))


def test_a_groups_queries_lie_beside_its_key_and_value():
    shape = architecture(1, 2, 2, 1, True)
    q, k, v = (torch.arange(n)[:, None].float() + 10 * start for n, start in ((4, 0), (2, 1), (2, 2)))
    assert _fuse_qkv(shape, q, k, v)[:, 0].tolist() == [0, 1, 10, 20, 2, 3, 11, 21]


@pytest.mark.parametrize("tied", [True, False])
def test_names_are_those_of_transformers(tied):
    model = qwen3(tie_word_embeddings=tied)
    names = set(model.state_dict()) - ({"lm_head.weight"} if tied else set())
    assert set(hf_names(architecture(3, 2, 2, 16, tied))) == names


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_ranks_together_give_the_checkpoint_back_bit_for_bit(layout):
    loaded, expected = results(*layout)["loaded"], qwen3().state_dict()
    assert set(loaded) == set(expected) - {"lm_head.weight"}
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())
