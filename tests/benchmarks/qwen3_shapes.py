"""Qwen3's shapes, the batch that each is measured with, the FLOPs of its training step, and the GPU's own
rate."""

from __future__ import annotations

import dataclasses

import torch
from transformers import Qwen3Config

from training.settings.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class Model:
    """A shape, and the batch of one step."""

    architecture: Architecture
    sequences: int
    length: int = 4096


def _qwen3(layers: int, hidden: int, ffn: int, heads: int, vocabulary: int = 151_936) -> Architecture:
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
        tied=True,
        dtype="bfloat16",
    )


MODELS = {
    "0.6B": Model(_qwen3(28, 1024, 3072, 16), sequences=4),
    "1.7B": Model(_qwen3(28, 2048, 6144, 16), sequences=4),
    "4B": Model(_qwen3(36, 2560, 9728, 32), sequences=2),
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
    """FLOPs of one optimizer step of T tokens in sequences of S.

    6 * T * (weights in matrix products, the output layer included) + 6 * T * S * heads * head_dim * layers.
    The first term is 2 FLOPs per weight forward and 4 backward; the second is the two products of causal
    attention (2 * 2
    * S / 2 per token, head and channel) forward and twice that backward.
    """
    shape = model.architecture
    heads = shape.head_dim * (2 * shape.num_heads + 2 * shape.num_kv_heads)
    layer = shape.hidden_size * (heads + 3 * shape.ffn_hidden_size)
    weights = shape.num_layers * layer + shape.vocab_size * shape.hidden_size
    attended = model.length * shape.num_heads * shape.head_dim * shape.num_layers
    return 6.0 * model.sequences * model.length * (weights + attended)


def matmul_rate() -> float:
    """FLOP/s of an 8192 x 8192 x 8192 bfloat16 product of random matrices."""
    if not torch.cuda.is_available():
        return float("nan")
    size, repeats = 8192, 20
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        a @ b
    end.record()
    torch.cuda.synchronize()
    return 2.0 * size**3 * repeats / (start.elapsed_time(end) / 1e3)
