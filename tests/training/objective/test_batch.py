"""Padded and packed micro-batches hold the same tokens."""

from dataclasses import replace

import pytest
import torch

from tests.training.tiny import random_examples
from training.objective.batch import Example, collate, pack


def examples() -> list[Example]:
    """Five, with an advantage and log-probabilities that tell their tokens apart."""
    return [
        replace(
            example,
            advantage=float(index),
            logprobs={"old": tuple(index + place / 100 for place in range(len(example.response)))},
        )
        for index, example in enumerate(random_examples(5))
    ]


def test_only_response_tokens_are_learnt():
    batch = collate(examples())
    for row, example in enumerate(examples()):
        assert batch.labels[row][batch.mask[row]].tolist() == list(example.response)
        assert batch.inputs[row, : example.length - 1].tolist() == [*example.prompt, *example.response][:-1]


@pytest.mark.parametrize("lay_out", [collate, pack])
@pytest.mark.parametrize("multiple_of", [1, 4])
def test_response_tokens_come_sequence_by_sequence_with_all_that_the_loss_needs(lay_out, multiple_of):
    batch = lay_out(examples(), multiple_of=multiple_of)
    assert batch.inputs.size(1) % multiple_of == 0
    tokens = batch.tokens().select(batch.responses)
    assert tokens.mask.all()
    assert len(tokens.labels) == batch.mask.sum() == sum(batch.lengths)
    parts = zip(
        tokens.labels.split(batch.lengths),
        tokens.advantages.split(batch.lengths),
        tokens.response_lengths.split(batch.lengths),
        tokens.logprobs["old"].split(batch.lengths),
        examples(),
        strict=True,
    )
    for labels, advantages, lengths, logprobs, example in parts:
        assert labels.tolist() == list(example.response)
        assert set(advantages.tolist()) == {example.advantage}
        assert set(lengths.tolist()) == {len(example.response)}
        torch.testing.assert_close(logprobs, torch.tensor(example.logprobs["old"]))


def test_a_packed_row_has_no_padding_and_restarts_its_positions():
    batch = pack(examples())
    lengths = [example.length - 1 for example in examples()]
    assert batch.inputs.shape == (1, sum(lengths))
    assert batch.packing.boundaries.diff().tolist() == lengths
    assert batch.packing.longest == max(lengths)
    assert batch.packing.positions.tolist() == [place for length in lengths for place in range(length)]


def test_what_fills_a_packed_row_up_is_a_sequence_of_its_own_that_is_not_learnt():
    batch = pack(examples(), multiple_of=64)
    filled = batch.inputs.size(1) - sum(example.length - 1 for example in examples())
    assert batch.packing.boundaries.diff().tolist()[-1] == filled > 0
    assert batch.packing.positions[-filled:].tolist() == list(range(filled))
    assert not batch.mask[0, -filled:].any()
