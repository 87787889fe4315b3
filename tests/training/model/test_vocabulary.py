"""Padding of the vocabulary changes nothing but shapes."""

import pytest
import torch

from training.model.logits import label_entropy, label_logprobs
from training.model.vocabulary import mask_padding, padded_vocab_size

PADDED = [(97, 1, 1, 97), (97, 2, 1, 98), (97, 2, 128, 256), (151936, 8, 128, 152576), (96, 3, 1, 96)]


@pytest.mark.parametrize(("size", "tp", "divisible_by", "padded"), PADDED)
def test_the_size_is_the_next_multiple(size, tp, divisible_by, padded):
    assert padded_vocab_size(size, tp, divisible_by) == padded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_padding_changes_no_probability_and_no_gradient(single_process, dtype, temperature):
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = torch.tensor([0, 3, 6, 2, 1])
    padded = torch.cat([logits, torch.full((5, 3), 9.0, dtype=dtype)], -1).requires_grad_()
    masked = mask_padding(padded * 1, 7)
    plain = logits.clone().requires_grad_()
    for one, other in ((masked, plain),):
        scores, expected = (label_logprobs(x, labels, temperature) for x in (one, other))
        torch.testing.assert_close(scores, expected)
        entropies = label_entropy(one.detach(), temperature), label_entropy(other.detach(), temperature)
        torch.testing.assert_close(*entropies)
        scores.sum().backward()
        expected.sum().backward()
    torch.testing.assert_close(padded.grad[:, :7], plain.grad)
    assert not padded.grad[:, 7:].any()


def test_without_padding_nothing_is_touched(single_process):
    logits = torch.randn(5, 7)
    assert torch.equal(mask_padding(logits.clone(), 7), logits)
