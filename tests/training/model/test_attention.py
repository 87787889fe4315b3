"""Attention over padded and packed rows, against the formula."""

import math

import pytest
import torch

from training.model.attention import CausalAttention, packed_parameters
from training.objective.batch import Example, pack


def formula(query, key, value, window=10**6):
    """Causal attention of one sequence: query [S, heads, D], key and value [S, groups, D]."""
    key, value = (x.repeat_interleave(query.size(1) // x.size(1), dim=1) for x in (key, value))
    scores = torch.einsum("shd,thd->hst", query, key) / math.sqrt(query.size(-1))
    ones = torch.ones(scores.shape[1:])
    unseen = (ones.triu(1) + ones.tril(-window)).bool()
    return torch.einsum("hst,thd->shd", scores.masked_fill(unseen, -torch.inf).softmax(-1), value)


def draw(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator)


def test_rows_of_a_batch_attend_to_their_past():
    query, key, value = draw(7, 3, 4, 8), draw(7, 3, 2, 8), draw(7, 3, 2, 8) + 1
    got = CausalAttention(None)(query, key, value).unflatten(2, (4, 8))
    for row in range(3):
        torch.testing.assert_close(got[:, row], formula(query[:, row], key[:, row], value[:, row]))


@pytest.mark.parametrize("lengths", [(1, 9, 4), (5, 5), (6,)])
def test_sequences_of_a_packed_row_do_not_see_each_other(lengths):
    packed = packed_parameters(pack([Example((3,), (3,) * length) for length in lengths]).packing)
    query, key, value = draw(sum(lengths), 4, 8), draw(sum(lengths), 2, 8), draw(sum(lengths), 2, 8) + 1
    row = [x.unsqueeze(1) for x in (query, key, value)]
    got = CausalAttention(None)(*row, packed_seq_params=packed)
    parts = zip(*(x.split(lengths) for x in (query, key, value)), strict=True)
    expected = torch.cat([formula(*part) for part in parts])
    torch.testing.assert_close(got, expected.flatten(1).unsqueeze(1))


@pytest.mark.parametrize("window", [1, 3, 5, 9, 20])
@pytest.mark.parametrize("lengths", [(1, 9, 4), (5, 5), (6,)])
def test_a_window_ends_within_its_own_sequence(lengths, window):
    """Layer 2 of three has it."""
    packed = packed_parameters(pack([Example((3,), (3,) * length) for length in lengths]).packing)
    query, key, value = draw(sum(lengths), 4, 8), draw(sum(lengths), 2, 8), draw(sum(lengths), 2, 8) + 1
    row = [x.unsqueeze(1) for x in (query, key, value)]
    core = CausalAttention(None, layer_number=2, windows=(None, window, None))
    got = core(*row, packed_seq_params=packed)
    parts = zip(*(x.split(lengths) for x in (query, key, value)), strict=True)
    expected = torch.cat([formula(*part, window) for part in parts])
    torch.testing.assert_close(got, expected.flatten(1).unsqueeze(1))


def test_an_attention_mask_is_refused():
    with pytest.raises(ValueError, match="no attention mask"):
        CausalAttention(None)(draw(2, 1, 1, 2), draw(2, 1, 1, 2), draw(2, 1, 1, 2), torch.ones(1))
