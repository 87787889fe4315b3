"""Qwen3's shapes, the batch that each is measured with, the FLOPs of its training step, and the GPU's own
rate."""

from __future__ import annotations

import dataclasses

import torch
from transformers import Qwen3Config

from training.optimize.speed import peak_rate, training_flops
from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings


@dataclasses.dataclass(frozen=True)
class Model:
    """A shape, and the batch of one step."""

    architecture: Architecture
    sequences: int
    length: int = 4096


def _qwen3(
    layers: int, hidden: int, ffn: int, heads: int, vocabulary: int = 151_936, *, tied: bool = True
) -> Architecture:
    return Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_heads=heads,
        num_kv_heads=8,
        head_dim=128,
        vocab_size=vocabulary,
        max_positions=40_960,
        rope_theta=1e6,
        norm_eps=1e-6,
        tied=tied,
        dtype="bfloat16",
    )


MODELS = {
    "0.6B": Model(_qwen3(28, 1024, 3072, 16), sequences=4),
    "1.7B": Model(_qwen3(28, 2048, 6144, 16), sequences=4),
    "4B": Model(_qwen3(36, 2560, 9728, 32), sequences=2),
    "8B": Model(_qwen3(36, 4096, 12288, 32, tied=False), sequences=2),
    # Runs everywhere, to try this script out.
    "tiny": Model(_qwen3(2, 64, 128, 8, vocabulary=512), sequences=4, length=256),
}


def hf_config(shape: Architecture) -> Qwen3Config:
    """The Hugging Face config of a shape."""
    return Qwen3Config(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.ffn_hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        rms_norm_eps=shape.norm_eps,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
        dtype=shape.dtype,
        architectures=["Qwen3ForCausalLM"],
    )


def model_flops(model: Model) -> float:
    """FLOPs of one optimizer step on its batch."""
    lengths = [model.length] * model.sequences
    return training_flops(model.architecture, MegatronSettings(), lengths)


def matmul_rate() -> float:
    """FLOP/s of a large bfloat16 product."""
    return peak_rate(torch.bfloat16)
