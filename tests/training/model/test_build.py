"""Megatron's model computes what transformers' does, at every parallel size."""

import pytest
import torch

from tests.training.parallel import LAYOUTS, results
from tests.training.tiny import qwen3, random_examples
from training.objective.batch import collate

pytestmark = pytest.mark.xdist_group("parallel")  # one worker computes the results for all


def expected_logits() -> torch.Tensor:
    with torch.no_grad():
        return qwen3()(collate(random_examples(13)).inputs).logits


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_transformers_logits(layout):
    batch = collate(random_examples(13))
    difference = (results(*layout)["logits"] - expected_logits()).abs()
    assert difference[batch.mask].max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_entropy_is_that_of_the_whole_vocabulary(layout):
    expected = torch.distributions.Categorical(logits=expected_logits() / 0.7).entropy()
    torch.testing.assert_close(results(*layout)["entropy"], expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_logprobs_are_those_of_the_response_tokens(layout):
    examples = random_examples(13)
    batch = collate(examples)
    expected = torch.log_softmax(expected_logits() / 0.7, -1).gather(-1, batch.labels[..., None])[..., 0]
    for row, values in enumerate(results(*layout)["logprobs"]):
        assert len(values) == len(examples[row].response)
        torch.testing.assert_close(torch.tensor(values), expected[row][batch.mask[row]], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_smaller_than_the_ranks_is_scored(layout):
    assert len(results(*layout)["one"]) == 1
