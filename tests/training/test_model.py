"""Megatron's model computes what transformers' does, at every parallel size."""

import json

import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.parallel import LAYOUTS, results
from tests.training.tiny import qwen3, random_examples
from training.architecture import read_architecture
from training.batch import collate


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


UNSUPPORTED = [
    ({"model_type": "llama"}, "model_type 'llama'"),
    ({"model_type": "qwen3_moe"}, "model_type 'qwen3_moe'"),
    ({"attention_bias": True}, "attention_bias"),
    ({"use_sliding_window": True}, "sliding-window"),
    ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "scaled rotary"),
    ({"rope_scaling": {"type": "linear", "factor": 2}}, "scaled rotary"),
    ({"quantization_config": {"bits": 4}}, "quantised"),
]


@pytest.mark.parametrize(("change", "reason"), UNSUPPORTED)
def test_an_unsupported_architecture_is_named(hf_dir, tmp_path, change, reason):
    config = json.loads((hf_dir / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WarpsmithError, match=reason):
        read_architecture(tmp_path)


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"model_type": "qwen3"}'])
def test_a_folder_without_a_usable_config_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(WarpsmithError, match=r"config\.json"):
        read_architecture(tmp_path)


def test_the_config_of_transformers_4_is_read_too(hf_dir, tmp_path):
    config = json.loads((hf_dir / "config.json").read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_architecture(tmp_path) == read_architecture(hf_dir)


@pytest.mark.parametrize(("sizes", "reason"), [((3, 1), "num_attention_heads 4"), ((1, 4), "3 layers")])
def test_a_model_that_cannot_be_divided_is_named(hf_dir, sizes, reason):
    with pytest.raises(WarpsmithError, match=reason):
        read_architecture(hf_dir).check_split(*sizes)
