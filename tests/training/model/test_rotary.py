"""Rotary frequencies are transformers' own."""

import pytest
import torch
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from tests.training.tiny import family
from training.model.rotary import inverse_frequencies, sliding_frequencies
from training.settings.architecture import read_architecture


def llama3(theta: float, factor: float, low: float, high: float, positions: int) -> dict:
    bounds = {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": positions}
    return {"rope_type": "llama3", "rope_theta": theta, "factor": factor, **bounds}


SCALINGS = [
    {"rope_type": "default", "rope_theta": 5e5},
    llama3(5e5, 8.0, 1.0, 4.0, 8192),
    llama3(1e4, 32.0, 2.0, 8.0, 512),
]


@pytest.mark.parametrize("rope", SCALINGS)
def test_frequencies_are_transformers(tmp_path, rope):
    config = family("llama", head_dim=128, rope_parameters=rope).config
    config.save_pretrained(tmp_path)
    expected = LlamaRotaryEmbedding(config).inv_freq
    torch.testing.assert_close(
        inverse_frequencies(read_architecture(tmp_path)), expected, rtol=1e-6, atol=0.0
    )


def test_windows_have_a_base_of_their_own(tmp_path):
    config = family("gemma3_text").config
    config.save_pretrained(tmp_path)
    architecture, expected = read_architecture(tmp_path), Gemma3RotaryEmbedding(config)
    torch.testing.assert_close(inverse_frequencies(architecture), expected.full_attention_inv_freq)
    torch.testing.assert_close(sliding_frequencies(architecture), expected.sliding_attention_inv_freq)
    assert not torch.equal(inverse_frequencies(architecture), sliding_frequencies(architecture))
